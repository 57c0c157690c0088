// The same prompt dense and sparse, on the same kernels and weights.
//   node examples/compare-dense-sparse/main.mjs [TOKENS]
import { fileURLToPath } from "node:url";
import { buildNeedlePrompt, defaultHaystack, readSentences } from "@winnow/evaluate";
import { createEngine } from "@winnow/runtime";

const length = Number(process.argv[2] ?? 4096);

const engine = await createEngine({
  model: fileURLToPath(new URL("../../models/winnow-16m-32k", import.meta.url)),
  kernels: { fallback: "allow" },
  prefill: { masker: "a-shape", options: { sinkTokens: 64, recentTokens: 1024 } },
  decode: { kvPruner: "snapkv", options: { capacity: 1024 } },
});

const prompt = await buildNeedlePrompt((text) => engine.encode(text), {
  length,
  answerTokens: 16,
  depth: 0.9,
  seed: 3,
  sentences: await readSentences(defaultHaystack),
});
console.log(`${prompt.ids.length} tokens; the answer should be ${prompt.answer}`);

for (const dense of [true, false]) {
  const generation = engine.generate({ ids: prompt.ids }, { maxNewTokens: 16, stop: { strings: ["."] }, dense });
  const text = await generation.text();
  const { timing, density, memory } = generation.receipt;
  console.log(
    `${dense ? "dense " : "sparse"}:${text}  first token ${timing.timeToFirstTokenMs.toFixed(0)} ms, ` +
      `${(100 * density.prefillComputed).toFixed(0)} % of attention, cache ${(memory.cacheBytes / 2 ** 20).toFixed(0)} MiB`,
  );
}
await engine.close();
