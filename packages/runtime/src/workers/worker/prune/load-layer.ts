import { type DenseWeight, type LinearWeight, type Projection, projections } from "@winnow/core";
import { type LayerWeights, loadLayer } from "@winnow/models";
import { roleOf, withMatrices } from "../../../prune/places.js";
import { sharedCopy } from "../../../prune/shared-copy.js";
import type { LoadedLayer, LoadLayerStep } from "../../../prune/tasks.js";
import type { PruneTask } from "../../messages.js";
import { pluginOperations } from "../session.js";
import type { PruneContext } from "./context.js";

/** A layer's matrices as the model has them, in shared memory, and on request ready to run. */
export function loadOneLayer(
  { folder, config, plan, operations }: PruneContext,
  { layer, run }: LoadLayerStep,
  { cancel }: Pick<PruneTask, "cancel">,
): LoadedLayer {
  const ops = pluginOperations(operations);
  // The loader re-uses its memory for the next matrix, so each is copied as it comes.
  const asItIs = { packWeight: sharedCopy<DenseWeight> };
  const loaded = loadLayer(folder, config, asItIs, layer, { precision: plan.precision, cancel });
  const own = Object.fromEntries(
    projections.map((projection) => {
      const weight = loaded[roleOf(projection)];
      return [projection, weight.format === "dense" ? weight : sharedCopy(ops.decodeWeight(weight))];
    }),
  ) as Record<Projection, DenseWeight>;
  return { own, ...(run && { packed: packLayer(loaded, (weight) => ops.packWeight(weight, plan.precision)) }) };
}

function packLayer(layer: LayerWeights, packWeight: (weight: DenseWeight) => LinearWeight): LayerWeights {
  const packed = projections.flatMap((projection): [Projection, LinearWeight][] => {
    const weight = layer[roleOf(projection)];
    return weight.format === "dense" ? [[projection, packWeight(weight)]] : [];
  });
  return withMatrices(layer, new Map(packed));
}
