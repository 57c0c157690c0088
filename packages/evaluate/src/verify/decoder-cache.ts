import type { Operations } from "@winnow/core";
import {
  createDecoder,
  type Decoder,
  loadTokenizer,
  loadWeights,
  openModelFolder,
  parseModelConfig,
  type Tokenizer,
} from "@winnow/models";

export interface OpenModel {
  readonly decoder: Decoder;
  tokenizer(): Tokenizer;
}

/** Opens model folders in float32, each once. */
export function createModelOpener(operations: Operations): (folder: string) => OpenModel {
  const open = new Map<string, OpenModel>();
  return (path) => {
    const known = open.get(path);
    if (known) return known;
    const folder = openModelFolder(path);
    const config = parseModelConfig(folder.config);
    const weights = loadWeights(folder, config, operations, { precision: "f32" });
    const model = {
      decoder: createDecoder({ config, weights, ops: operations }),
      tokenizer: () => loadTokenizer(folder, config),
    };
    open.set(path, model);
    return model;
  };
}
