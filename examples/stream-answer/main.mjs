// Ask about a long text file and print the answer as it comes.
//   node examples/stream-answer/main.mjs [FILE] [QUESTION]
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { createEngine } from "@winnow/runtime";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const [file = here("text.txt"), question = "Who does the brave-otter live with? The brave-otter lives with the"] =
  process.argv.slice(2);

const engine = await createEngine({
  model: here("../../models/winnow-16m-32k"),
  kernels: { fallback: "allow" },
  prefill: { masker: "minference", options: { verticalSize: 1000, slashSize: 200 } },
  decode: {
    kvPruner: "tidal-decode",
    options: { budget: 1024, selectionLayers: [2, 6], sinkTokens: 4, recentTokens: 128 },
  },
});

const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

const answer = engine.generate(`${await readFile(file, "utf8")}\n${question}`, {
  maxNewTokens: 12,
  stop: { strings: ["."] },
  signal: stop.signal,
});
for await (const token of answer) process.stdout.write(token.text);

const { prompt, timing, density } = answer.receipt;
console.log(
  `\n${prompt.tokens} tokens read in ${(timing.timeToFirstTokenMs / 1000).toFixed(2)} s, ` +
    `${(100 * density.prefillComputed).toFixed(0)} % of attention computed`,
);
await engine.close();
