import { WinnowError } from "@winnow/core";
import { ModelProto } from "./onnx-schema.js";

/** Element types of ONNX tensors with their numbers in `TensorProto.DataType`. */
const dataTypes = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7 } as const;

export type OnnxType = keyof typeof dataTypes;

/** A number is a fixed size, a string a symbolic one. */
export type OnnxDim = number | string;

export type InitializerData = Float32Array | Uint8Array | Int8Array | Int32Array | BigInt64Array;

/** Integers become INT attributes; write a FLOAT one as `{ float: x }`, since JavaScript cannot tell 1.0 from 1. */
export type AttributeValue = number | string | { readonly float: number };

/** Operator domain of ONNX Runtime's own operators. */
export const MICROSOFT = "com.microsoft";

/** One serialised protobuf message is at most this long, for every reader. */
const MAX_MODEL_BYTES = 2 ** 31 - 1;

/**
 * Builds one ONNX graph and encodes it as a `ModelProto`. Values are named by strings; every method that makes a value returns its name,
 * so that graphs read as nested calls. Order of nodes is the order of execution, as ONNX demands.
 */
export class OnnxGraph {
  readonly #nodes: object[] = [];
  readonly #initializers: { name: string; rawData: Uint8Array }[] = [];
  readonly #inputs: object[] = [];
  readonly #outputs: object[] = [];
  #values = 0;

  constructor(readonly name: string) {}

  input(name: string, type: OnnxType, dims: readonly OnnxDim[]): string {
    this.#inputs.push(valueInfo(name, type, dims));
    return name;
  }

  /** Declares a value that some node makes as a result of the graph. */
  output(name: string, type: OnnxType, dims: readonly OnnxDim[]): void {
    this.#outputs.push(valueInfo(name, type, dims));
  }

  /** A constant. `data` is referenced, not copied, until {@link OnnxGraph.encode}. */
  initializer(name: string, data: InitializerData, dims: readonly number[]): string {
    const count = dims.reduce((product, dim) => product * dim, 1);
    if (count !== data.length) {
      throw new WinnowError(
        "ERR_OPERATION_ARGUMENT",
        `Cannot add initializer "${name}": shape [${dims.join(", ")}] has ${count} elements, the data has ${data.length}. Pass data of that shape.`,
      );
    }
    this.#initializers.push({
      name,
      ...{ dims, dataType: dataTypes[typeOf(data)] },
      rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    });
    return name;
  }

  /** A node with one output, whose name is returned. */
  node(op: string, inputs: readonly string[], attributes: Record<string, AttributeValue> = {}, domain = ""): string {
    const output = `${op}_${this.#values++}`;
    this.nodeTo([output], op, inputs, attributes, domain);
    return output;
  }

  /** A node with named outputs; an empty name leaves out an optional input or output. */
  nodeTo(
    outputs: readonly string[],
    op: string,
    inputs: readonly string[],
    attributes: Record<string, AttributeValue> = {},
    domain = "",
  ): void {
    const attribute = Object.entries(attributes).map(([name, value]) => encodeAttribute(name, value));
    this.#nodes.push({ name: outputs.find(Boolean), opType: op, input: inputs, output: outputs, attribute, domain });
  }

  /** Bytes of the model, ready for `InferenceSession.create`. Copies every initializer once. Throws `ERR_KERNEL_UNSUPPORTED` beyond 2 GiB. */
  encode(): Uint8Array {
    const bytes = this.#initializers.reduce((sum, { rawData }) => sum + rawData.length, 0);
    if (bytes > MAX_MODEL_BYTES) {
      throw new WinnowError(
        "ERR_KERNEL_UNSUPPORTED",
        `Cannot build the ONNX graph "${this.name}": its weights take ${bytes} bytes, and one ONNX file holds at most ${MAX_MODEL_BYTES}. Use a smaller model, or another kernel package.`,
      );
    }
    return ModelProto.encode({
      irVersion: 10,
      producerName: "winnow",
      opsetImport: [
        { domain: "", version: 21 },
        { domain: MICROSOFT, version: 1 },
      ],
      graph: {
        name: this.name,
        node: this.#nodes,
        initializer: this.#initializers,
        input: this.#inputs,
        output: this.#outputs,
      },
    }).finish();
  }
}

function valueInfo(name: string, type: OnnxType, dims: readonly OnnxDim[]): object {
  const dim = dims.map((size) => (typeof size === "number" ? { dimValue: size } : { dimParam: size }));
  return { name, type: { tensorType: { elemType: dataTypes[type], shape: { dim } } } };
}

function encodeAttribute(name: string, value: AttributeValue): object {
  if (typeof value === "string") return { name, s: new TextEncoder().encode(value), type: 3 };
  if (typeof value === "number") return { name, i: value, type: 2 };
  return { name, f: value.float, type: 1 };
}

function typeOf(data: InitializerData): OnnxType {
  if (data instanceof Float32Array) return "float32";
  if (data instanceof Uint8Array) return "uint8";
  if (data instanceof Int8Array) return "int8";
  return data instanceof Int32Array ? "int32" : "int64";
}
