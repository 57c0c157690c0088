import {
  type BitmapWeight,
  type ChannelsWeight,
  type DensePanelWeight,
  type DenseWeight,
  type FloatData,
  type FloatDtype,
  type GroupsWeight,
  type Int8PanelWeight,
  type LinearWeight,
  PANEL,
  panelElements,
  panelIndex,
  placeBits,
  sharedFloats,
} from "@winnow/core";

/** `DenseOperations.decodeWeight` of a weight that was checked. */
export function decodeWeight(weight: LinearWeight): DenseWeight {
  switch (weight.format) {
    case "dense":
    case "gated-rows":
      return matrix(weight, weight.dtype, (data) => data.set(weight.data.subarray(0, data.length)));
    case "dense-panel16":
      return decodePanels(weight, weight.dtype, weight.data);
    case "int8-panel16":
      return decodeInt8(weight, weight.data, weight.scales);
    case "bitmap":
      return decodeBitmap(weight);
    case "groups":
      return decodeGroups(weight);
    case "channels":
      return decodeChannels(weight);
  }
}

function matrix(shape: LinearWeight, dtype: FloatDtype, fill: (data: FloatData) => void): DenseWeight {
  const { outFeatures, inFeatures, bias } = shape;
  const data = sharedFloats(dtype, outFeatures * inFeatures);
  fill(data);
  return { format: "dense", dtype, outFeatures, inFeatures, data, ...(bias && { bias }) };
}

function decodePanels(weight: DensePanelWeight | BitmapWeight, dtype: FloatDtype, panels: FloatData): DenseWeight {
  const { outFeatures, inFeatures } = weight;
  return matrix(weight, dtype, (data) => {
    for (let o = 0; o < outFeatures; o++)
      for (let i = 0; i < inFeatures; i++) data[o * inFeatures + i] = panels[panelIndex(dtype, inFeatures, o, i)];
  });
}

function decodeInt8(weight: Int8PanelWeight | BitmapWeight, panels: Int8Array, scales: Float32Array): DenseWeight {
  const { outFeatures, inFeatures } = weight;
  return matrix(weight, "f32", (data) => {
    for (let o = 0; o < outFeatures; o++)
      for (let i = 0; i < inFeatures; i++)
        data[o * inFeatures + i] = scales[o] * panels[panelIndex("int8", inFeatures, o, i)];
  });
}

function decodeBitmap(weight: BitmapWeight): DenseWeight {
  const { dtype, outFeatures, inFeatures, bitmap, values } = weight;
  const elements = panelElements(dtype, outFeatures, inFeatures);
  const panels = dtype === "int8" ? new Int8Array(elements) : new Uint16Array(elements);
  let next = 0;
  for (let e = 0; e < elements; e++) if ((bitmap[e >>> 5] >>> (e & 31)) & 1) panels[e] = values[next++];
  if (panels instanceof Uint16Array) return decodePanels(weight, "bf16", panels);
  return decodeInt8(weight, panels, weight.scales as Float32Array);
}

function decodeGroups(weight: GroupsWeight): DenseWeight {
  const { outFeatures, inFeatures, keep, of, values, places } = weight;
  const groups = Math.ceil(inFeatures / of);
  const { bits, words } = placeBits(of);
  return matrix(weight, "bf16", (data) => {
    for (let o = 0; o < outFeatures; o++) {
      const lane = o % PANEL;
      const shift = (bits * lane) % 32;
      for (let s = 0; s < groups * keep; s++) {
        const slot = Math.floor(o / PANEL) * groups * keep + s;
        const value = values[slot * PANEL + lane];
        const place = (places[slot * words + ((bits * lane) >>> 5)] >>> shift) & (2 ** bits - 1);
        if (value !== 0) data[o * inFeatures + Math.floor(s / keep) * of + place] = value;
      }
    }
  });
}

function decodeChannels(weight: ChannelsWeight): DenseWeight {
  const { dtype, outFeatures, inFeatures } = weight;
  return matrix(weight, dtype, (data) => {
    for (let i = 0; i < inFeatures; i++)
      for (let o = 0; o < outFeatures; o++) data[o * inFeatures + i] = weight.data[i * outFeatures + o];
  });
}
