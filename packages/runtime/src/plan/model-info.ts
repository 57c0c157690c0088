import { openModelFolder, readModelConfig } from "@winnow/models";
import type { PlannedModel } from "./plan.js";

/** What a plan needs to know of a model: config.json and the headers of the weight files, no weights. Errors as of `@winnow/models`. */
export function readModelInfo(path: string): PlannedModel {
  const folder = openModelFolder(path);
  const { architecture, layers, queryHeads, kvHeads, headDim, contextLength, slidingWindow } = readModelConfig(folder);
  const formats = [...folder.matrices.values()].map(({ description }) => description.format);
  return {
    folder: path,
    architecture,
    shape: { layers, queryHeads, kvHeads, headDim, contextLength },
    slidingWindow,
    weightFormats: [...new Set(formats)],
  };
}
