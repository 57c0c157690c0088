import { createDecoder, loadEmbedding, loadTokenizer, type ModelWeights } from "@winnow/models";
import { documentsOf, joinedText, readCalibrationText } from "../../../prune/calibration-text.js";
import { ResidualFile } from "../../../prune/residual-file.js";
import { pythonWindows, seededWindows } from "../../../prune/sample-windows.js";
import type { CalibrationSample, EmbedStep, SampleStep } from "../../../prune/tasks.js";
import type { PruneTask } from "../../messages.js";
import { throwIfCancelled } from "../cancel.js";
import { emitProgress } from "../events.js";
import { pluginOperations } from "../session.js";
import type { PruneContext } from "./context.js";

type Port = Pick<PruneTask, "cancel" | "events">;

/** Reads and tokenises the calibration text and draws windows from it. */
export function sample(
  { folder, config }: PruneContext,
  { settings }: SampleStep,
  { cancel }: Port,
): CalibrationSample {
  const tokenizer = loadTokenizer(folder, config);
  const text = readCalibrationText(settings.text);
  const encode = (part: string) => {
    throwIfCancelled(cancel);
    return tokenizer.encode(part);
  };
  const windows =
    settings.sampling === "python"
      ? pythonWindows(documentsOf(text), encode, settings, text.path)
      : seededWindows(encode(joinedText(text)), settings, text.path);
  const ids = new Int32Array(settings.sequences * settings.length);
  for (const [index, window] of windows.entries()) ids.set(window, index * settings.length);
  return { text: text.name, sha256: text.sha256, ids };
}

/** Residual streams before the first layer: the embedding of all windows. */
export function embed(context: PruneContext, { file, ids, length }: EmbedStep, { cancel, events }: Port): void {
  const { folder, config, plan } = context;
  const ops = context.operations;
  const embedding = loadEmbedding(folder, pluginOperations(ops), { precision: plan.precision });
  const decoder = createDecoder({ config, weights: { embedding } as ModelWeights, ops, maxRows: 1 });
  const residual = new Float32Array(length * config.hiddenSize);
  const target = new ResidualFile(file, "create");
  try {
    for (let start = 0; start < ids.length; start += length) {
      throwIfCancelled(cancel);
      decoder.embed(ids.subarray(start, start + length), residual);
      target.write(start / length, residual);
      emitProgress(events, (start + length) / ids.length, "");
    }
  } finally {
    target.close();
  }
}
