import { readFileSync } from "node:fs";
import { z } from "zod";
import { reportComparisons } from "./comparison-list.js";
import type { OpenModel } from "./decoder-cache.js";
import type { FixtureReport } from "./verdict.js";

const schema = z.object({ tokenizer_ids: z.record(z.string(), z.array(z.int())) });

/** Whether a JSON file records texts with their token ids. */
export function isTokenizerFixture(path: string): boolean {
  try {
    return schema.safeParse(JSON.parse(readFileSync(path, "utf8"))).success;
  } catch {
    return false;
  }
}

/** Token ids of each recorded text. */
export function verifyTokenizerFixture(name: string, path: string, model: OpenModel): FixtureReport {
  const { tokenizer_ids } = schema.parse(JSON.parse(readFileSync(path, "utf8")));
  const tokenizer = model.tokenizer();
  const list = Object.entries(tokenizer_ids).map(([text, ids], index) => ({
    name: `text ${index + 1}`,
    actual: tokenizer.encode(text),
    expected: ids,
    rule: { mode: "exact" as const },
  }));
  return reportComparisons(name, list);
}
