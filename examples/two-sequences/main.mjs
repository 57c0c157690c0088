// Two prompts at once: two workers, one copy of the weights, no shared state.
//   node examples/two-sequences/main.mjs
import { fileURLToPath } from "node:url";
import { createEngine } from "@winnow/runtime";

const engine = await createEngine({
  model: fileURLToPath(new URL("../../models/winnow-16m-32k", import.meta.url)),
  workers: 2,
  kernels: { fallback: "allow" },
  decode: { kvPruner: "streaming-llm", options: { sinkTokens: 4, recentTokens: 256 } },
});

const prompts = { alice: "Alice was beginning to get very tired of", code: "def add(a, b):\n    return" };

async function answer(name, prompt) {
  const generation = engine.generate(prompt, { maxNewTokens: 24, sampling: { temperature: 0.7, topP: 0.9, seed: 11 } });
  let text = "";
  for await (const token of generation) text += token.text;
  return `${name}: ${JSON.stringify(prompt + text)} (${generation.receipt.answer.tokens} tokens)`;
}

console.log((await Promise.all(Object.entries(prompts).map(([name, prompt]) => answer(name, prompt)))).join("\n"));
await engine.close();
