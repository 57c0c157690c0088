import { WinnowError } from "@winnow/core";
import { biasKeyOf, layerSpec, type ModelConfig, openModelFolder, readModelConfig } from "@winnow/models";
import type { MatrixPlace, Plan } from "../plan/plan.js";
import { roleOf } from "./places.js";
import type { SparsifierNeeds } from "./tasks.js";

/** Whether a plain folder can hold a bias of this matrix: the model has one, or config.json can announce one. */
export function holdsBias(config: ModelConfig, { layer, projection }: MatrixPlace): boolean {
  const { bias, weight } = layerSpec(config, layer)[roleOf(projection)];
  return bias !== undefined || biasKeyOf(config, weight) !== undefined;
}

export function biasPlaceProblem({ architecture }: ModelConfig, sparsifier: string): string {
  return `${sparsifier} brings a bias, which a plain ${architecture} model has no place for there: other programs would ignore it. Set form: sparse (--form sparse), or run it without a prune step.`;
}

/** Refuses, before anything is computed, sparsifiers that may bring biases where a plain folder cannot hold them. Error: `ERR_WEIGHT_FORMAT`. */
export function checkBiasPlaces({ model, weights }: Plan, needs: readonly SparsifierNeeds[]): void {
  const config = readModelConfig(openModelFolder(model.folder));
  for (const [index, { sparsifier, matrices }] of weights.sparsifiers.entries()) {
    const place = needs[index].changesBias && matrices.find((matrix) => !holdsBias(config, matrix));
    if (!place) continue;
    const where = `Layer ${place.layer}, ${place.projection}`;
    throw new WinnowError("ERR_WEIGHT_FORMAT", `${where}: ${biasPlaceProblem(config, sparsifier)}`);
  }
}
