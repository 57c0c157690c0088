import { statSync } from "node:fs";
import { WinnowError } from "@winnow/core";
import { measurePerplexity, type PerplexityResult } from "@winnow/evaluate";
import {
  type ConfigDocument,
  configFromObject,
  createEngine,
  mebibytes,
  type PerplexitySettings,
  perplexitySchema,
  readConfig,
} from "@winnow/runtime";
import type { CommandContext, ExitStatus } from "../context.js";
import { notice, print, printJson, startProgress } from "../io.js";
import { table } from "../table.js";
import { type SharedOptions, setsOf } from "./shared-options.js";

export interface EvalOptions extends SharedOptions {
  readonly json?: boolean;
  readonly text?: string;
  readonly length?: number;
  readonly stride?: number;
  readonly windows?: number;
  readonly sparse?: string;
  readonly context?: number;
  readonly dense?: boolean;
}

/** `winnow eval perplexity CONFIG|MODEL`: perplexity of a text under a configuration, or of a model folder as it is. */
export async function evalPerplexityCommand(
  path: string,
  { json, dense, set, workers, threads, ...given }: EvalOptions,
  { signal }: CommandContext,
): Promise<ExitStatus> {
  const config = openConfig(
    path,
    setsOf({ ...(set && { set }), ...(workers && { workers }), ...(threads && { threads }) }),
  );
  const settings = settingsOf(given);
  const progress = startProgress("perplexity");
  try {
    await using engine = await createEngine(config, { signal, onProgress: progress.update, onNotice: notice });
    const result = await measurePerplexity(engine, settings, {
      dense: dense === true,
      signal,
      onProgress: progress.update,
    });
    progress.stop();
    if (json) printJson(result);
    else print(describePerplexity(result));
    if (engine.plan.decode.length > 0 && settings.sparse !== "decode")
      notice("KV pruners did not run: they act in decoding. Use --sparse decode to include them.");
    return 0;
  } finally {
    progress.stop();
  }
}

function openConfig(path: string, sets: readonly string[]): ConfigDocument {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  return isFolder ? configFromObject({ model: path }, { sets }) : readConfig(path, sets);
}

function settingsOf(given: object): PerplexitySettings {
  const parsed = perplexitySchema.safeParse(given);
  if (parsed.success) return parsed.data;
  const [{ path, message }] = parsed.error.issues;
  throw new WinnowError("ERR_USAGE", `Option --${path.join(".")}: ${message}.`);
}

/** A result as a table; also printed by the `perplexity` step. */
export function describePerplexity(result: PerplexityResult): string {
  const { settings, text, attention, decodeRead, weightBytesPerStep } = result;
  const { perplexity, crossEntropy, standardError } = result;
  const rows: [string, string][] = [
    ["perplexity", typeof perplexity === "number" ? perplexity.toFixed(4) : perplexity],
    [
      "cross entropy",
      `${crossEntropy.toFixed(5)} nats${standardError === null ? "" : ` +- ${standardError.toFixed(5)}`}`,
    ],
    ["text", `${text.name}, ${text.tokens} tokens, sha256 ${text.sha256.slice(0, 12)}`],
    ["windows", `${result.windows} of ${settings.length} tokens${settings.stride ? `, every ${settings.stride}` : ""}`],
    ["selections of weights", sparseText(settings)],
    ["attention computed", `${(100 * attention.computed).toFixed(1)} %`],
  ];
  if (decodeRead !== null) rows.push(["cached tokens read in decoding", `${(100 * decodeRead).toFixed(1)} %`]);
  if (weightBytesPerStep !== null) rows.push(["weights read a token", mebibytes(weightBytesPerStep)]);
  return table(["", settings.dense ? "dense" : "configured"], rows);
}

function sparseText({ sparse, context, dense }: PerplexityResult["settings"]): string {
  if (dense) return "off";
  if (sparse === "decode") return `token by token after ${context}`;
  return { none: "off", tenth: "last tenth of each window", half: "last half of each window", all: "all tokens" }[
    sparse
  ];
}
