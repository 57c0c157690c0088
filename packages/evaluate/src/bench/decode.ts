import type { OnnxBaseline } from "@winnow/kernels-onnx";
import { argmax } from "@winnow/models";
import type { Engine, Receipt } from "@winnow/runtime";
import { answersNeedle } from "../needle/needle-prompt.js";
import { type BenchHooks, type Rounds, ratioOf, roundOrder, type Spread, spreadOf } from "./measure.js";
import { ANSWER_TOKENS, type BenchPrompt, needlePrompts } from "./needles.js";
import { openBaseline } from "./prefill.js";

export interface DecodeBenchOptions extends BenchHooks, Pick<Rounds, "repeat"> {
  /** Tokens of the prompt and of what is generated. */
  readonly length: number;
  /** Tokens that each run generates, >= 2: the first one comes from the prompt. */
  readonly tokens: number;
  /** Also decode through ONNX Runtime, in float32, after a dense prompt of the same length. That blocks this thread. */
  readonly baseline: boolean;
}

export interface DecodeVariant {
  readonly found: boolean;
  /** Per token, wall time. */
  readonly tokenMs: Spread;
  /** Per token. */
  readonly attentionMs: Spread;
  /** Per token: choosing what attention reads. */
  readonly selectMs: Spread;
  /** Bytes of the KV cache read per token, all layers. */
  readonly bytesRead: number;
  /** Tokens read / tokens cached. */
  readonly read: number;
}

export interface DecodeBench {
  readonly bench: "decode";
  readonly promptTokens: number;
  readonly tokens: number;
  readonly full: DecodeVariant;
  readonly pruned: DecodeVariant;
  /** Pruned / full. */
  readonly bytesRatio: number;
  readonly attentionRatio: Spread;
  /** Of attention and selection together. */
  readonly withSelectionRatio: Spread;
  readonly tokenRatio: Spread;
  /** Median attention ratio / bytes ratio - 1: how far the time is from following the bytes. */
  readonly deviation: number;
  /** Largest deviation of a kernel that is bound by memory. */
  readonly target: number;
  /** ONNX Runtime, per token; its cache holds the whole prompt. */
  readonly baselineTokenMs?: Spread;
  readonly receipts: Readonly<Record<"full" | "pruned", Receipt>>;
}

const TARGET = 0.25;

/**
 * Greedy decoding of one needle prompt with the whole cache and with the configured KV pruner; both prompts are run with the configured masker.
 * `full` must be an engine of the same configuration without KV pruner. A cache can be decoded from once, so every round runs the prompt anew.
 */
export async function benchDecode(
  engines: { readonly full: Engine; readonly pruned: Engine },
  options: DecodeBenchOptions,
): Promise<DecodeBench> {
  const answerTokens = Math.max(ANSWER_TOKENS, options.tokens);
  const [prompt] = await needlePrompts(engines.full, { ...options, count: 1, answerTokens });
  const receipts = { full: [] as Receipt[], pruned: [] as Receipt[] };
  const names = ["full", "pruned"] as const;
  for (let round = 0; round < options.repeat; round++) {
    for (const [index, name] of roundOrder(names, round).entries()) {
      options.onProgress?.((2 * round + index) / (2 * options.repeat), `round ${round + 1}, ${name}`);
      receipts[name].push(await decode(engines[name], prompt, options));
    }
  }
  const full = summarize(receipts.full, prompt);
  const pruned = summarize(receipts.pruned, prompt);
  const bytesRatio = pruned.bytesRead / full.bytesRead;
  const attentionRatio = ratioOf(pruned.attentionMs, full.attentionMs);
  return {
    bench: "decode",
    promptTokens: prompt.ids.length,
    tokens: options.tokens,
    full,
    pruned,
    bytesRatio,
    attentionRatio,
    withSelectionRatio: ratioOf(withSelection(receipts.pruned), withSelection(receipts.full)),
    tokenRatio: ratioOf(pruned.tokenMs, full.tokenMs),
    deviation: attentionRatio.median / bytesRatio - 1,
    target: TARGET,
    ...(options.baseline && { baselineTokenMs: await decodeBaseline(engines.full, prompt, options) }),
    receipts: { full: receipts.full.at(-1)!, pruned: receipts.pruned.at(-1)! },
  };
}

async function decode(engine: Engine, prompt: BenchPrompt, { tokens, signal }: DecodeBenchOptions): Promise<Receipt> {
  const options = { maxNewTokens: tokens, stop: { endOfSequence: false }, signal };
  const generation = engine.generate({ ids: prompt.ids }, options);
  await generation.text();
  return generation.receipt!;
}

function summarize(receipts: readonly Receipt[], prompt: BenchPrompt): DecodeVariant {
  const { answer, decode, density } = receipts[0];
  return {
    found: answersNeedle(answer.text, prompt),
    tokenMs: perToken(receipts, (stats) => stats.totalMs),
    attentionMs: perToken(receipts, (stats) => stats.attentionMs),
    selectMs: perToken(receipts, (stats) => stats.selectMs),
    bytesRead: decode.layers.reduce((sum, layer) => sum + layer.bytesRead, 0) / decode.tokens,
    read: density.decodeRead!,
  };
}

function withSelection(receipts: readonly Receipt[]): Spread {
  return perToken(receipts, (stats) => stats.attentionMs + stats.selectMs);
}

function perToken(receipts: readonly Receipt[], time: (decode: Receipt["decode"]) => number): Spread {
  return spreadOf(receipts.map(({ decode }) => time(decode) / decode.tokens));
}

async function decodeBaseline(
  engine: Engine,
  prompt: BenchPrompt,
  { tokens, signal, onProgress }: DecodeBenchOptions,
): Promise<Spread> {
  const baseline: OnnxBaseline = await openBaseline(engine);
  try {
    onProgress?.(1, "prompt through ONNX Runtime");
    let { logits } = await baseline.prefill(prompt.ids);
    const samples: number[] = [];
    while (samples.length + 1 < tokens) {
      signal?.throwIfAborted();
      const step = await baseline.step(argmax(logits));
      samples.push(1000 * step.seconds);
      logits = step.logits;
    }
    return spreadOf(samples);
  } finally {
    await baseline.close();
  }
}
