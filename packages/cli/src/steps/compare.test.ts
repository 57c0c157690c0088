import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { configFromObject, type PipelineInput, type Receipt, receiptSchema, stepEntry } from "@winnow/runtime";
import { afterAll, describe, expect, it } from "vitest";
import { EngineHost } from "./engine-host.js";
import { runStep } from "./index.js";

const model = fileURLToPath(new URL("../../../../models/winnow-16m-32k", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "winnow-compare-"));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
/** Runs all steps of a pipeline as `winnow run` does. */
async function run(pipeline: Omit<PipelineInput, "model">): Promise<{ receipts: Receipt[]; written: string }> {
  const file = join(folder, `pipeline-${files++}.yaml`);
  const input = { model, threads: 1, ...pipeline };
  writeFileSync(file, JSON.stringify(input));
  const config = configFromObject(input, { folder });
  const { signal } = new AbortController();
  await using host = new EngineHost(file, [], signal);
  const receipts: Receipt[] = [];
  const pieces: string[] = [];
  const output = { signal, write: (text: string) => void pieces.push(text) };
  for (const step of config.value.steps) receipts.push(...(await runStep({ config, host }, stepEntry(step), output)));
  return { receipts, written: pieces.join("") };
}

const prompt = { text: "Once upon a time" };
const weights = [{ sparsifier: "magnitude", options: { sparsity: 0.7, scope: "row" } }];
const formatsOf = ({ weights: { formats } }: Receipt) => formats.map(({ format }) => format);

describe("compare", () => {
  it("compare, with weights pruned in memory, runs them beside the model's own, in turns, with the same settings", async () => {
    const { receipts, written } = await run({ weights, steps: [{ compare: { prompt, maxNewTokens: 3, rounds: 2 } }] });
    const order = ["unpruned", "dense", "configured"];
    expect(receipts.map(({ variant }) => variant)).toEqual([...order, ...order.toReversed()]);
    const [unpruned, dense, configured] = receipts;
    expect(formatsOf(unpruned)).toEqual(["dense-panel16"]);
    expect(formatsOf(dense)).toContain("bitmap");
    expect(formatsOf(configured)).toContain("bitmap");
    expect(unpruned.weights.pruned).toBeNull();
    expect(configured.weights.pruned).toMatchObject({ reused: false });
    expect(unpruned.isa).toEqual(configured.isa);
    for (const one of receipts) expect(receiptSchema.parse(one)).toMatchObject({ prompt: configured.prompt });
    expect(receipts[5].answer.text).toBe(unpruned.answer.text);
    expect(written).toContain("unpruned / configured");
    expect(written.match(/^unpruned: /gm)).toHaveLength(1);
  });

  it("compare without pruned weights makes the dense and the configured run alone", async () => {
    const { receipts, written } = await run({ steps: [{ compare: { prompt, maxNewTokens: 2 } }] });
    expect(receipts.map(({ variant }) => variant)).toEqual(["dense", "configured"]);
    expect(written).toContain("dense / sparse");
  });

  it("compare after a prune step takes the model that was pruned as baseline", async () => {
    const steps = [
      { prune: { out: join(folder, "pruned"), form: "sparse" as const } },
      { compare: { prompt, maxNewTokens: 2, runs: ["unpruned" as const, "configured" as const] } },
    ];
    const { receipts } = await run({ weights, steps });
    expect(receipts.map(formatsOf)).toEqual([["dense-panel16"], expect.arrayContaining(["bitmap"])]);
    expect(receipts[0].weights.bytes).toBeGreaterThan(receipts[1].weights.bytes);
  });
});
