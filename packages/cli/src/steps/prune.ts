import { type Projection, projections } from "@winnow/core";
import {
  type ConfigDocument,
  type MatrixReport,
  mebibytes,
  type PruneReport,
  percent,
  prune,
  type StepSettings,
} from "@winnow/runtime";
import { notice, startProgress } from "../io.js";
import { table } from "../table.js";

/** Runs the sparsifiers of a configuration and writes the resulting model, with a progress bar. */
export async function runPrune(
  config: ConfigDocument,
  settings: StepSettings<"prune">,
  signal: AbortSignal,
): Promise<PruneReport> {
  const progress = startProgress("prune");
  const hooks = { signal, onProgress: progress.update, onNotice: notice };
  try {
    return await prune(config, { ...settings, ...hooks });
  } catch (error) {
    if (signal.aborted) {
      progress.stop();
      notice(`The finished layers are in "${settings.out}.partial"; the same command goes on there.`);
    }
    throw error;
  } finally {
    progress.stop();
  }
}

/** What became of each kind of matrix, and of all together. */
export function describePruning({ matrices, out, seconds, calibration, tensorBytes }: PruneReport): string {
  const kinds = projections
    .map((projection) => [projection, matrices.filter((matrix) => matrix.projection === projection)] as const)
    .filter(([, reports]) => reports.length > 0);
  const rows = [
    ...kinds.map(([projection, reports]: readonly [Projection, readonly MatrixReport[]]) => rowOf(projection, reports)),
    rowOf("all", matrices),
  ];
  const text = calibration
    ? `calibrated on ${calibration.tokens} tokens of ${calibration.text}`
    : "without a calibration text";
  return [
    table(["matrix", "layers", "zeros", "N:M", "format", "MiB before", "MiB after", "seconds"], rows),
    `Wrote ${out} (${mebibytes(tensorBytes)}) in ${seconds.toFixed(1)} s, ${text}.`,
  ].join("\n");
}

function rowOf(name: string, reports: readonly MatrixReport[]): (string | number)[] {
  const sum = (value: (report: MatrixReport) => number) => reports.reduce((total, report) => total + value(report), 0);
  return [
    name,
    new Set(reports.map(({ layer }) => layer)).size,
    percent(sum(({ zeros }) => zeros) / sum(({ elements }) => elements)),
    listOf(reports.map(({ pattern }) => pattern ?? "-")),
    listOf(reports.map(({ format }) => format)),
    inMebibytes(sum(({ bytesBefore }) => bytesBefore)),
    inMebibytes(sum(({ bytesAfter }) => bytesAfter)),
    sum(({ seconds }) => seconds).toFixed(2),
  ];
}

function listOf(values: readonly string[]): string {
  return [...new Set(values)].join(", ");
}

function inMebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(2);
}
