import {
  type DecodeWeightsBench,
  type PruneBench,
  type QualityBench,
  type QualityResult,
  textName,
  type WeightsBench,
  type WeightsRow,
  type WeightsSection,
} from "@winnow/evaluate/bench";
import { mebibytes, percent } from "@winnow/runtime";
import { table } from "../table.js";
import { duration, met, ratio, spread } from "./format.js";
import { kernelConditions, LEGEND } from "./tables.js";

export function weightsTable({ sections }: WeightsBench): string {
  return sections.map(weightsSection).join("\n\n");
}

function weightsSection({ shape, workingSet, conditions, rows }: WeightsSection): string {
  const body = rows.map(({ dense, overInt4, ...row }) => [
    row.name,
    `${(row.bytes / 2 ** 20).toFixed(2)} MiB`,
    spread(row.milliseconds, fineDuration),
    row.gigabytesPerSecond.toFixed(1),
    dense ? ratio(dense.byteRatio) : "",
    dense ? spread(dense.speedup, ratio) : "",
    dense ? percent(dense.reached) : "",
    overInt4 ? spread(overInt4, ratio) : "",
    targetText(row),
  ]);
  const head = [
    ...["weight", "read", "time", "GB/s", "dense bytes / bytes", "dense / time"],
    ...["of byte ratio", "int4 / time", "target"],
  ];
  return [
    table(head, body),
    `One row of inputs, ${shape.outFeatures} outputs x ${shape.inFeatures} inputs; each round reads at least ${mebibytes(workingSet)} of every format. dense: of the same type.`,
    LEGEND,
    kernelConditions(conditions),
  ].join("\n");
}

function targetText({ target }: WeightsRow): string {
  if (!target) return "";
  const { of, atLeast } = target;
  return `${of === "byte ratio" ? `${percent(atLeast)} of byte ratio` : `${ratio(atLeast)} dense`}: ${met(target.met)}`;
}

/** Milliseconds of a product, which may be far below one. */
function fineDuration(milliseconds: number): string {
  return milliseconds < 1 ? `${milliseconds.toFixed(3)} ms` : duration(milliseconds);
}

export function decodeWeightsTable({ rows, model, tokens, conditions }: DecodeWeightsBench): string {
  const body = rows.map((row) => [
    row.name,
    row.tokensPerSecond.toFixed(1),
    spread(row.tokenMs, duration),
    spread(row.speedup, ratio),
    mebibytes(row.weightBytesRead),
    ratio(row.byteRatio),
    spread(row.residentBytes, mebibytes),
    spread(row.loadMs, duration),
  ]);
  const head = [
    ...["weights", "tokens/s", "time per token", "dense / time"],
    ...["weights read a token", "dense bytes / bytes", "resident memory", "load"],
  ];
  const { layers, hiddenSize, intermediateSize, queryHeads, kvHeads } = model;
  return [
    table(head, body),
    `Random weights, ${(model.parameters / 1e6).toFixed(0)} M parameters: ${layers} layers, width ${hiddenSize}, MLP ${intermediateSize}, ${queryHeads}/${kvHeads} heads. ${tokens} tokens a run, each run in a fresh process.`,
    `The time of a run is the median over its tokens. ${LEGEND}`,
    kernelConditions(conditions),
  ].join("\n");
}

export function qualityTable({ results, resumed, ...bench }: QualityBench): string {
  const dense = results.find(({ method, error }) => method === "dense" && error === undefined);
  const body = results.map((result) => [
    result.method,
    result.setting,
    ...(result.error === undefined
      ? numbersOf(result, dense, bench)
      : [result.error, ...new Array<string>(bench.texts.length + 1).fill("")]),
    `${result.seconds.toFixed(0)} s`,
  ]);
  const head = [
    ...["method", "removed"],
    ...bench.texts.map((text) => `perplexity, ${textName(text)}`),
    ...["needles found", "weights read a token", "took"],
  ];
  const lines = [
    table(head, body),
    `${bench.model}; windows of ${bench.length} tokens, at most ${bench.windows} of a text; needle prompts of ${bench.needleLength} tokens. In brackets: over dense.`,
    "r-sparse, teal and cats choose what to skip for all tokens of a scored window, and for the decoded tokens of a needle's answer.",
  ];
  if (resumed > 0) lines.push(`${resumed} of ${results.length} results are from the file of an earlier run.`);
  return lines.join("\n");
}

function numbersOf(
  { perplexity, needlesFound, weightBytesRead }: QualityResult,
  dense: QualityResult | undefined,
  { needles }: Pick<QualityBench, "needles">,
): string[] {
  const reference = dense?.weightBytesRead;
  return [
    ...perplexity.map(({ perplexity: value }, text) => relative(value, dense?.perplexity[text].perplexity)),
    needlesFound === null ? "-" : `${needlesFound} of ${needles}`,
    weightBytesRead === null
      ? "-"
      : `${mebibytes(weightBytesRead)}${reference ? ` (${percent(weightBytesRead / reference)})` : ""}`,
  ];
}

function relative(value: number | "inf", dense: number | "inf" | undefined): string {
  if (value === "inf") return value;
  const text = value.toPrecision(5);
  return typeof dense === "number" ? `${text} (${ratio(value / dense)})` : text;
}

/** A result on one line, for logs of long runs. */
export function resultLine(result: QualityResult, done: number, secondsLeft: number): string {
  const { method, setting, perplexity, needlesFound, error, seconds } = result;
  const values = perplexity.map(({ perplexity: value }) => (value === "inf" ? value : value.toPrecision(5)));
  const found = needlesFound === null ? "" : `, ${needlesFound} needles`;
  const outcome = error ?? `perplexity ${values.join(", ")}${found}`;
  const left = secondsLeft > 0 ? `; about ${duration(1000 * secondsLeft)} left` : "";
  return `${done}. ${[method, setting].filter(Boolean).join(" ")}: ${outcome} (${seconds.toFixed(0)} s)${left}`;
}

export function pruneTable({ rows, conditions, projected, ...bench }: PruneBench): string {
  const kinds = rows.flatMap(({ method, kinds: measured }) =>
    measured.map(({ name, outFeatures, inFeatures, seconds, peakBytes, workBytes }) => [
      method,
      `${name}: ${outFeatures}x${inFeatures}`,
      duration(1000 * seconds),
      mebibytes(peakBytes),
      mebibytes(workBytes),
    ]),
  );
  const projections = rows.map(({ method, tokenMs, projection }) => [
    method,
    tokenMs === null ? "lost in the noise" : `${tokenMs.toPrecision(3)} ms`,
    projection.seconds === null ? "-" : `${(projection.seconds / 60).toFixed(1)} min`,
    `${(projection.peakBytes / 2 ** 30).toFixed(2)} GiB`,
  ]);
  return [
    table(["method", "matrix", "time", "peak memory", "of it the method"], kinds),
    table(["method", "calibration, a token and layer", "whole model", "peak memory"], projections),
    ...rows.flatMap(({ method, projection: { formula } }) => [
      `${method}: time = ${formula.seconds}`,
      `${method}: memory = ${formula.peakBytes}`,
    ]),
    ...(rows.some(({ tokenMs }) => tokenMs === null)
      ? [
          "Runs with more tokens took no longer: the time of the matrices varied by more. Run it again on a quiet machine or with more --sequences.",
        ]
      : []),
    `Each matrix in a process of its own, with made statistics. Calibration on sequences of ${bench.length} tokens. Whole model: ${projected.layers} layers, ${projected.tokens} calibration tokens, one worker.`,
    kernelConditions(conditions),
  ].join("\n");
}
