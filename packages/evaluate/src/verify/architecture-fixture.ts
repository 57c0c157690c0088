import { join } from "node:path";
import { WinnowError } from "@winnow/core";
import { architectures, denseForward, greedyContinuation, loadSafetensors, openModelFolder } from "@winnow/models";
import { reportComparisons } from "./comparison-list.js";
import type { OpenModel } from "./decoder-cache.js";
import type { FixtureReport } from "./verdict.js";

/** Float32 logits through a few layers agree to about 1e-5; this leaves room for another order of sums, not for another formula. */
const LOGIT_TOLERANCE = { mode: "close", atol: 2e-4, rtol: 2e-4 } as const;

/** A folder with config.json, model.safetensors and golden.safetensors: logits of `input_ids`, and the greedy continuation. */
export async function verifyArchitectureFixture(
  name: string,
  folder: string,
  openModel: (folder: string) => OpenModel,
): Promise<FixtureReport> {
  const { tensors } = loadSafetensors(join(folder, "golden.safetensors"));
  const tensor = (key: string) => {
    const found = tensors.get(key);
    if (!found) throw new WinnowError("ERR_FIXTURE", `Cannot run "${folder}": golden.safetensors lacks "${key}".`);
    return found.data as Float32Array | Int32Array;
  };
  const { model_type: type } = openModelFolder(folder).config;
  if (typeof type === "string" && !Object.hasOwn(architectures, type)) {
    return { fixture: name, verdict: "not run", compared: `architecture "${type}" is not supported`, worst: null };
  }
  const model = openModel(folder);
  const ids = Int32Array.from(tensor("input_ids"));
  const greedy = tensor("greedy_ids");
  return reportComparisons(name, [
    {
      name: "logits",
      actual: await denseForward(model.decoder, ids),
      expected: tensor("logits"),
      rule: LOGIT_TOLERANCE,
    },
    {
      name: "greedy_ids",
      actual: await greedyContinuation(model.decoder, ids, greedy.length),
      expected: greedy,
      rule: { mode: "exact" },
    },
  ]);
}
