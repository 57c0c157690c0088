import { answersNeedle, type NeedlePrompt } from "@winnow/evaluate";
import { type Engine, mebibytes, percent, type Receipt, type StepSettings, seconds } from "@winnow/runtime";
import { notice } from "../io.js";
import { resolvePrompt } from "../prompt-source.js";
import { table } from "../table.js";
import { type StepOutput, streamAnswer } from "./stream-answer.js";

/** One prompt, dense and with the configured plugins, on the same kernels in the same process; prints both answers and a table. */
export async function runCompare(
  engine: Engine,
  settings: StepSettings<"compare">,
  output: StepOutput,
): Promise<Receipt[]> {
  const { prompt: source, runs, ...generation } = settings;
  const { prompt, needle } = await resolvePrompt(engine, source, generation.maxNewTokens, output.signal);
  if (needle)
    notice(
      `Prompt: ${needle.ids.length} tokens, needle at token ${needle.needlePosition}; the answer should contain ${needle.answer}.`,
    );
  if (engine.plan.weights.sparsifiers.length > 0)
    notice("Both runs use the weights as the sparsifiers left them; the dense one ignores selections.");
  const receipts: Receipt[] = [];
  for (const run of runs) {
    output.write(`${run}: `);
    receipts.push(await streamAnswer(engine, prompt, { ...generation, dense: run === "dense" }, output));
  }
  output.write(`\n${comparisonTable(receipts, needle)}\n`);
  return receipts;
}

function comparisonTable(receipts: readonly Receipt[], needle: NeedlePrompt | undefined): string {
  const rows: [string, (receipt: Receipt) => string][] = [
    ["time to first token", ({ timing }) => seconds(timing.timeToFirstTokenMs)],
    ["  attention", ({ prefill }) => seconds(prefill.attentionMs)],
    ["  choosing masks", ({ prefill }) => seconds(prefill.estimateMs)],
    ["  projections and the rest", ({ prefill }) => seconds(prefill.projectionMs)],
    [
      "time per output token",
      ({ timing }) => (timing.timePerOutputTokenMs === null ? "-" : `${timing.timePerOutputTokenMs.toFixed(2)} ms`),
    ],
    ["attention cells computed", ({ density }) => percent(density.prefillComputed)],
    [
      "cached tokens read in decoding",
      ({ density }) => (density.decodeRead === null ? "-" : percent(density.decodeRead)),
    ],
    ["peak memory", ({ memory }) => mebibytes(memory.peakBytes)],
  ];
  if (needle) rows.unshift(["needle found", ({ answer }) => (answersNeedle(answer.text, needle) ? "yes" : "no")]);
  const body = rows.map(([label, value]) => [label, ...receipts.map(value), ...ratioOf(label, receipts)]);
  const head = [
    "",
    ...receipts.map((receipt) => receipt.variant),
    ...(receipts.length === 2 ? ["dense / sparse"] : []),
  ];
  return table(head, body);
}

const ratios: Readonly<Record<string, (receipt: Receipt) => number | null>> = {
  "time to first token": ({ timing }) => timing.timeToFirstTokenMs,
  "  attention": ({ prefill }) => prefill.attentionMs + prefill.estimateMs,
  "time per output token": ({ timing }) => timing.timePerOutputTokenMs,
};

function ratioOf(label: string, receipts: readonly Receipt[]): string[] {
  if (receipts.length !== 2) return [];
  const value = ratios[label];
  const dense = value?.(receipts.find((receipt) => receipt.variant === "dense")!);
  const configured = value?.(receipts.find((receipt) => receipt.variant === "configured")!);
  return [dense && configured ? `${(dense / configured).toFixed(2)}x` : ""];
}
