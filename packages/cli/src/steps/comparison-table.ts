import { answersNeedle, type NeedlePrompt } from "@winnow/evaluate";
import { mebibytes, percent, type Receipt, seconds } from "@winnow/runtime";
import { table } from "../table.js";

interface Row {
  readonly label: string;
  readonly value: (receipt: Receipt) => number | null;
  readonly show: (value: number) => string;
  /** What is compared with the baseline, if anything. */
  readonly ratio?: (receipt: Receipt) => number | null;
}

const milliseconds = (value: number) => `${value.toFixed(2)} ms`;
const timeToFirstToken = ({ timing }: Receipt) => timing.timeToFirstTokenMs;
const timePerToken = ({ timing }: Receipt) => timing.timePerOutputTokenMs;
const weightBytes = ({ weights }: Receipt) => weights.bytes;
const readPerToken = ({ weights }: Receipt) => weights.bytesReadPerToken;

const rows: readonly Row[] = [
  { label: "time to first token", value: timeToFirstToken, show: seconds, ratio: timeToFirstToken },
  {
    label: "  attention",
    value: ({ prefill }) => prefill.attentionMs,
    show: seconds,
    ratio: ({ prefill }) => prefill.attentionMs + prefill.estimateMs,
  },
  { label: "  choosing masks", value: ({ prefill }) => prefill.estimateMs, show: seconds },
  { label: "  projections and the rest", value: ({ prefill }) => prefill.projectionMs, show: seconds },
  { label: "time per output token", value: timePerToken, show: milliseconds, ratio: timePerToken },
  { label: "attention cells computed", value: ({ density }) => density.prefillComputed, show: percent },
  { label: "cached tokens read in decoding", value: ({ density }) => density.decodeRead, show: percent },
];

const weightRows: readonly Row[] = [
  { label: "weights in memory", value: weightBytes, show: mebibytes, ratio: weightBytes },
  { label: "weights read per output token", value: readPerToken, show: mebibytes, ratio: readPerToken },
];

const memoryRow: Row = { label: "peak memory", value: ({ memory }) => memory.peakBytes, show: mebibytes };

/**
 * Medians over the receipts of each run, and ratios of the baseline to every other run: the baseline is the run on unpruned weights, else the dense one. Above 1 the
 * other is faster or smaller.
 */
export function comparisonTable(runs: readonly (readonly Receipt[])[], needle?: NeedlePrompt): string {
  const names = runs.map(([first]) => first.variant);
  const baseline = names.includes("unpruned") ? "unpruned" : "dense";
  const base = names.indexOf(baseline);
  const others = base < 0 ? [] : runs.filter((_, index) => index !== base);
  // One process holds the weights of both engines, so its peak says nothing of either.
  const shown = [...rows, ...(baseline === "unpruned" ? weightRows : [memoryRow])];
  const body = shown.map(({ label, value, show, ratio }) => [
    label,
    ...runs.map((receipts) => shownMedian(receipts, value, show)),
    ...others.map((receipts) => (ratio ? ratioOf(runs[base], receipts, ratio) : "")),
  ]);
  const found = runs.map((receipts) => {
    const count = receipts.filter(({ answer }) => needle && answersNeedle(answer.text, needle)).length;
    return receipts.length === 1 ? (count === 1 ? "yes" : "no") : `${count} of ${receipts.length}`;
  });
  const head = ["", ...names, ...others.map(([first]) => `${baseline} / ${nameInRatio(first, names)}`)];
  return table(head, needle ? [["needle found", ...found, ...others.map(() => "")], ...body] : body);
}

function nameInRatio({ variant }: Receipt, names: readonly string[]): string {
  return variant === "configured" && !names.includes("unpruned") ? "sparse" : variant;
}

function shownMedian(receipts: readonly Receipt[], value: Row["value"], show: Row["show"]): string {
  const middle = median(receipts, value);
  return middle === null ? "-" : show(middle);
}

function ratioOf(base: readonly Receipt[], other: readonly Receipt[], value: Row["value"]): string {
  const [dense, sparse] = [median(base, value), median(other, value)];
  return dense && sparse ? `${(dense / sparse).toFixed(2)}x` : "";
}

/** The lower of the two in the middle where their number is even; null where nothing was measured. */
function median(receipts: readonly Receipt[], value: Row["value"]): number | null {
  const values = receipts.map(value).filter((one) => one !== null);
  return values.sort((a, b) => a - b)[(values.length - 1) >> 1] ?? null;
}
