import protobuf from "protobufjs/light.js";

/**
 * The part of `onnx.proto` (ONNX IR version 10) that Winnow writes. Field numbers are those of the standard;
 * a field that no graph here uses is left out.
 */
const root = protobuf.Root.fromJSON({
  nested: {
    ModelProto: message({
      irVersion: ["int64", 1],
      producerName: ["string", 2],
      graph: ["GraphProto", 7],
      opsetImport: ["repeated OperatorSetIdProto", 8],
    }),
    OperatorSetIdProto: message({ domain: ["string", 1], version: ["int64", 2] }),
    GraphProto: message({
      node: ["repeated NodeProto", 1],
      name: ["string", 2],
      initializer: ["repeated TensorProto", 5],
      input: ["repeated ValueInfoProto", 11],
      output: ["repeated ValueInfoProto", 12],
    }),
    NodeProto: message({
      input: ["repeated string", 1],
      output: ["repeated string", 2],
      name: ["string", 3],
      opType: ["string", 4],
      attribute: ["repeated AttributeProto", 5],
      domain: ["string", 7],
    }),
    AttributeProto: message({
      name: ["string", 1],
      f: ["float", 2],
      i: ["int64", 3],
      s: ["bytes", 4],
      type: ["int32", 20],
    }),
    TensorProto: message({
      dims: ["repeated int64", 1],
      dataType: ["int32", 2],
      name: ["string", 8],
      rawData: ["bytes", 9],
    }),
    ValueInfoProto: message({ name: ["string", 1], type: ["TypeProto", 2] }),
    TypeProto: message({ tensorType: ["TensorTypeProto", 1] }),
    TensorTypeProto: message({ elemType: ["int32", 1], shape: ["TensorShapeProto", 2] }),
    TensorShapeProto: message({ dim: ["repeated DimensionProto", 1] }),
    DimensionProto: message({ dimValue: ["int64", 1], dimParam: ["string", 2] }),
  },
});

/** Encoder (and, for tests, decoder) of a whole model. */
export const ModelProto = root.lookupType("ModelProto");

function message(fields: Record<string, readonly [type: string, id: number]>): protobuf.IType {
  return {
    edition: "proto2", // as the standard's own file: a zero or an empty string that is set is written
    fields: Object.fromEntries(
      Object.entries(fields).map(([name, [type, id]]) => {
        const bare = type.replace("repeated ", "");
        return [name, { type: bare, id, ...(bare !== type && { rule: "repeated" }) }];
      }),
    ),
  };
}
