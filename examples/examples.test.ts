import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

async function runExample(name: string, ...args: string[]): Promise<string> {
  const file = fileURLToPath(new URL(`./${name}/main.mjs`, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [file, ...args]);
  return stdout;
}

test("stream-answer prints the fact that its text hides, then what the receipt says", async () => {
  const output = await runExample("stream-answer");
  expect(output).toMatch(/^ falcon\n/);
  expect(output).toMatch(/tokens read in .* s, \d+ % of attention computed/);
});

test("compare-dense-sparse finds the needle in both runs and computes less in the sparse one", async () => {
  const output = await runExample("compare-dense-sparse", "4096");
  const expected = output.match(/the answer should be (\d+)/)?.[1];
  const [dense, sparse] = ["dense ", "sparse"].map((run) =>
    output.match(new RegExp(`${run}: (\\d+).* (\\d+) % of attention`)),
  );
  expect(dense?.[1]).toBe(expected);
  expect(sparse?.[1]).toBe(expected);
  expect(Number(sparse?.[2])).toBeLessThan(Number(dense?.[2]));
});

test("two-sequences answers both prompts with the asked number of tokens", async () => {
  const output = await runExample("two-sequences");
  expect(output).toMatch(/^alice: "Alice was beginning to get very tired of.*" \(24 tokens\)$/m);
  expect(output).toMatch(/^code: "def add\(a, b\):.*" \(24 tokens\)$/m);
});
