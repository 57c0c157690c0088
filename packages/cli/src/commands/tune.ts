import { join } from "node:path";
import { WinnowError } from "@winnow/core";
import { buildNeedlePrompt, defaultHaystack, readSentences } from "@winnow/evaluate";
import { createEngine, type Engine, readConfig, writeFileAtomically } from "@winnow/runtime";
import type { CommandContext, ExitStatus } from "../context.js";
import { notice, print, printJson, startProgress } from "../io.js";
import { table } from "../table.js";
import { parseAssignments } from "./assignments.js";
import { type SharedOptions, setsOf } from "./shared-options.js";

export interface TuneOptions extends SharedOptions {
  readonly json?: boolean;
  readonly length: number;
  readonly prompts: number;
  readonly out: string;
  readonly option?: readonly string[];
}

/** `winnow tune PLUGIN CONFIG`: a plugin's offline search on needle prompts; prints the options to put into the YAML and writes its files. */
export async function tuneCommand(
  plugin: string,
  file: string,
  options: TuneOptions,
  { signal }: CommandContext,
): Promise<ExitStatus> {
  const config = readConfig(file, setsOf(options));
  const progress = startProgress(`tune ${plugin}`);
  try {
    await using engine = await createEngine(config, { signal, alsoLoad: [plugin], onNotice: notice });
    if (!engine.plan.plugins.some(({ id }) => id === plugin))
      throw new WinnowError("ERR_PLUGIN_UNKNOWN", `Plugin "${plugin}" is not installed.`);
    const prompts = await calibrationPrompts(engine, options, signal);
    const result = await engine.tune(plugin, parseAssignments(options.option ?? []), prompts, {
      signal,
      onProgress: progress.update,
    });
    progress.stop();
    const written = result.files.map(({ name, text }) => {
      const target = join(options.out, name);
      writeFileAtomically(target, text);
      return target;
    });
    if (options.json) {
      printJson({ ...result, files: written });
      return 0;
    }
    if (result.report.length > 0)
      print(
        table(
          Object.keys(result.report[0]),
          result.report.map((row) => Object.values(row)),
        ),
      );
    print(`Options for ${plugin}: ${JSON.stringify(result.options)}`);
    for (const target of written) notice(`Wrote ${target}`);
    return 0;
  } finally {
    progress.stop();
  }
}

async function calibrationPrompts(engine: Engine, options: TuneOptions, signal: AbortSignal): Promise<Int32Array[]> {
  const sentences = await readSentences(defaultHaystack);
  const prompts: Int32Array[] = [];
  for (let index = 0; index < options.prompts; index++) {
    const depth = (index + 0.5) / options.prompts;
    const encode = (text: string) => engine.encode(text, { signal });
    const prompt = await buildNeedlePrompt(encode, {
      length: options.length,
      answerTokens: 16,
      depth,
      seed: 1000 + index,
      sentences,
    });
    prompts.push(prompt.ids);
  }
  return prompts;
}
