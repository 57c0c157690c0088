import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
// Workers start from the built package, so tests use it too.
import { createEngine, type Engine, type GeneratedToken, type Generation, type PipelineInput } from "@winnow/runtime";

/** The model that ships with the repository. */
export const modelFolder = fileURLToPath(new URL("../../../models/winnow-16m-32k", import.meta.url));

const core = new URL("../../core/dist/index.js", import.meta.url).href;

/** Runs `use` with an engine of the shipped model, then closes it. */
export async function withEngine<T>(
  input: Partial<PipelineInput>,
  use: (engine: Engine) => T | Promise<T>,
): Promise<T> {
  const engine = await createEngine({ model: modelFolder, threads: 1, ...input });
  try {
    return await use(engine);
  } finally {
    await engine.close();
  }
}

/** Runs `use` with a new folder, then deletes it. */
export async function withFolder<T>(use: (folder: string) => T | Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "winnow-"));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Writes a plugin module whose `create` is the given source text and returns its path. */
export function writePlugin(folder: string, id: string, kind: string, create: string): string {
  const file = join(folder, `${id}.mjs`);
  writeFileSync(
    file,
    `import { definePlugin, defineOptions, elementAt } from ${JSON.stringify(core)};
export default definePlugin({
  id: ${JSON.stringify(id)}, kind: ${JSON.stringify(kind)}, summary: "For tests.", source: { title: "none" },
  options: defineOptions({}), create: ${create},
});
`,
  );
  return file;
}

/** `n` ids that differ, without special tokens. */
export function someIds(n: number): Int32Array {
  return Int32Array.from({ length: n }, (_, index) => 3 + ((index * 2654435761) % 8001));
}

export async function allTokens(generation: Generation): Promise<GeneratedToken[]> {
  const tokens: GeneratedToken[] = [];
  for await (const token of generation) tokens.push(token);
  return tokens;
}

/** Ids and log-probabilities, to be compared bit by bit. */
export async function answerBits(generation: Generation): Promise<(readonly [number, number])[]> {
  return (await allTokens(generation)).map(({ id, logProbability }) => [id, logProbability] as const);
}

const sentences = [
  "The river runs slowly past the old mill, and the road follows it as far as the bridge.",
  "In the evening the lamps are lit one after another, and people sit in front of their houses.",
  "Nobody remembers who built the tower, but everybody has climbed it at least once.",
  "The winter was long that year, and the first ships came late.",
];

/** About 700 tokens of prose with a number in them, and a question for it. */
export const needlePrompt = [
  "Some special magic numbers are hidden within the following text. Make sure to memorize them. I will quiz you about the numbers afterwards.\n",
  Array.from({ length: 12 }, (_, index) => sentences[index % 4]).join(" "),
  " One of the special magic numbers for brave-otter is: 4821937. ",
  Array.from({ length: 12 }, (_, index) => sentences[(index + 1) % 4]).join(" "),
  "\nWhat is the special magic number for brave-otter mentioned in the provided text? ",
  "The special magic number for brave-otter mentioned in the provided text is",
].join("");

export const needleAnswer = "4821937";
