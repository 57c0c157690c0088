import { createHash } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Plan, PlannedInner } from "../plan/plan.js";
import { hashOfModule, stampOfOwnCode } from "./code-stamp.js";
import type { CalibrationSample, Keep } from "./tasks.js";
import { version } from "./version.js";

/**
 * A hash of all that determines the result: versions and code, what is done to which matrices, kernels, the modules of the plugins that take part, the model's files by
 * size and time of change, and the calibration tokens. Numbers of workers and threads are left out: they do not change a bit.
 */
export function runKey(plan: Plan, keep: Keep["as"], sample: CalibrationSample | undefined): string {
  const { weights, precision, kernels, model, plugins } = plan;
  const { cache: _, cacheGigabytes: __, ...calibration } = weights.calibration;
  const inner = (nested: readonly PlannedInner[] = []): string[] =>
    nested.flatMap((one) => [one.plugin, ...inner(one.inner)]);
  const taking = new Set([
    ...weights.sparsifiers.flatMap((planned) => [planned.sparsifier, ...inner(planned.inner)]),
    ...Object.values(kernels.assignment),
  ]);
  const parts = {
    version,
    code: stampOfOwnCode(),
    keep,
    weights: { ...weights, calibration },
    precision,
    kernels: kernels.assignment,
    plugins: plugins
      .filter(({ id }) => taking.has(id))
      .map(({ id, version: pluginVersion, url }) => [id, pluginVersion, hashOfModule(url)]),
    model: filesOf(model.folder),
    ids: sample && hashOf(new Uint8Array(sample.ids.buffer, sample.ids.byteOffset, sample.ids.byteLength)),
  };
  return hashOf(JSON.stringify(parts));
}

function filesOf(folder: string): [string, number, number][] {
  const names = readdirSync(folder).filter((name) => /\.(json|safetensors)$/.test(name));
  return names.sort().map((name) => {
    const { size, mtimeMs } = statSync(join(folder, name));
    return [name, size, mtimeMs];
  });
}

function hashOf(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}
