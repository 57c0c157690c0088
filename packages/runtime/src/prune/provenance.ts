import type { Plan } from "../plan/plan.js";
import type { CalibrationSample, MatrixReport } from "./tasks.js";
import { version } from "./version.js";

/** What was done to a model, for the metadata of its files. Plain JSON; the same run gives the same text. */
export function provenanceOf(
  { weights, plugins, precision, kernels, model }: Plan,
  reports: readonly MatrixReport[],
  sample: CalibrationSample | undefined,
): Record<string, unknown> {
  const { sequences, length, seed, sampling } = weights.calibration;
  return {
    winnow: version,
    architecture: model.architecture,
    sparsifiers: weights.sparsifiers.map(({ sparsifier, options, matrices }) => {
      const plugin = plugins.find(({ id }) => id === sparsifier);
      return { id: sparsifier, package: plugin?.package, version: plugin?.version, options, matrices: matrices.length };
    }),
    precision,
    kernels: kernels.assignment.linear,
    weightFormat: weights.format,
    calibration: sample ? { text: sample.text, sha256: sample.sha256, sequences, length, seed, sampling } : null,
    sparsity: Object.fromEntries(
      reports.map(({ layer, projection, zeros, elements }) => [`${layer}.${projection}`, zeros / elements]),
    ),
  };
}
