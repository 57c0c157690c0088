import { createEngine } from "@winnow/runtime";
import { childJob, printResult } from "./child-output.js";
import { spreadOf } from "./measure.js";

export interface DecodeChildJob {
  readonly model: string;
  readonly threads: number;
  readonly promptTokens: number;
  /** Tokens that are timed. */
  readonly tokens: number;
}

export interface DecodeChildResult {
  readonly loadMs: number;
  /** Median over tokens. */
  readonly tokenMs: number;
  /** In one decode step. */
  readonly weightBytesRead: number;
  /** Of this process after the last token. */
  readonly residentBytes: number;
  readonly isa: string;
}

/** The first token comes from the prompt, the second warms up what decoding uses. */
const UNTIMED = 2;

const { model, threads, promptTokens, tokens } = childJob<DecodeChildJob>();
const started = performance.now();
await using engine = await createEngine({ model, threads });
const loadMs = performance.now() - started;
const ids = Int32Array.from({ length: promptTokens }, (_, i) => 3 + i);
const options = { maxNewTokens: tokens + UNTIMED, stop: { endOfSequence: false } };
const generation = engine.generate({ ids }, options);
const times: number[] = [];
for await (const _ of generation) times.push(performance.now());
const receipt = generation.receipt!;
printResult({
  loadMs,
  tokenMs: spreadOf(times.slice(UNTIMED).map((time, i) => time - times[i + UNTIMED - 1])).median,
  weightBytesRead: receipt.weights.bytesReadPerToken!,
  residentBytes: process.memoryUsage.rss(),
  isa: Object.values(receipt.isa).join(", "),
} satisfies DecodeChildResult);
