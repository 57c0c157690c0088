import { existsSync, mkdirSync, readdirSync, readFileSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createEngine, type PipelineInput, type Receipt } from "@winnow/runtime";
import { beforeAll, describe, expect, test } from "vitest";
import { allTokens } from "../../test-support/engines.js";
import { PruneBench, type TestPlugin } from "../../test-support/prune-bench.js";
import { tinyPipeline } from "../../test-support/tiny-model.js";
import { tempFolder } from "../testing/temp-packages.js";

let bench: PruneBench;
let used: TestPlugin;
beforeAll(() => {
  bench = new PruneBench(tempFolder());
  used = bench.scorer();
});

type Calibration = NonNullable<PipelineInput["calibration"]>;

interface Start {
  readonly cache: Calibration["cache"];
  readonly plugin?: TestPlugin;
  readonly calibration?: Calibration;
  readonly more?: Partial<PipelineInput>;
}

/** Starts an engine with a pruned model and lets it answer. */
async function start({ cache, plugin = used, calibration, more }: Start) {
  const notices: string[] = [];
  const labels = new Set<string>();
  const pipeline = tinyPipeline(bench.model, {
    ...more,
    plugins: [plugin.module, ...(more?.plugins ?? [])],
    weights: [{ sparsifier: plugin.id }],
    calibration: { text: bench.text, sequences: 5, length: 20, cache, ...calibration },
  });
  await using engine = await createEngine(pipeline, {
    onNotice: (text) => notices.push(text),
    onProgress: (_, label) => labels.add(label.replace(/,.*/, "")),
  });
  const generation = engine.generate({ ids: [5, 6, 7] }, { maxNewTokens: 3, stop: { endOfSequence: false } });
  const answer = (await allTokens(generation)).map(({ id, logProbability }) => [id, logProbability]);
  const { pruned } = (generation.receipt as Receipt).weights;
  return { answer, notices, calibrated: labels.has("layer 1/3: statistics"), reused: pruned?.reused };
}

const entriesOf = (cache: string) => readdirSync(cache);
const filesOf = (cache: string) => readdirSync(join(cache, entriesOf(cache)[0]));

describe("An engine whose weights are calibrated when it starts", () => {
  test("keeps them, and the next start takes them: the same answer, no calibration, and the receipt says so", async () => {
    const cache = bench.path("cache");
    const first = await start({ cache });
    expect(first).toMatchObject({ calibrated: true, reused: false });
    expect(first.notices).toEqual([expect.stringMatching(/kept in ".*cache-\d+\/[0-9a-f]{64}".*MB/)]);
    const second = await start({ cache });
    expect(second).toMatchObject({ calibrated: false, reused: true, answer: first.answer });
    expect(second.notices).toEqual([expect.stringContaining(`reused from "${join(cache, entriesOf(cache)[0])}"`)]);
    expect(filesOf(cache)).toHaveLength(21 + 1);
    const without = await start({ cache: false });
    expect(without).toMatchObject({ calibrated: true, reused: false, answer: first.answer, notices: [] });
  });

  test("keeps formats that choose while they run", async () => {
    const plugin = bench.plugin(`() => ({
      statistics: ["mean"],
      sparsify: ({ weight, projection }) => projection === "up_proj"
        ? { ...weight, format: "gated-rows", selection: { rule: "largest", keep: 4 } } : weight,
    })`);
    const cache = bench.path("cache");
    const first = await start({ cache, plugin });
    expect(await start({ cache, plugin })).toMatchObject({ reused: true, answer: first.answer });
  });

  test("takes them whatever the number of workers, of threads, and what prunes the cache", async () => {
    const cache = bench.path("cache");
    await start({ cache });
    const decode = { kvPruner: "streaming-llm", options: { sinkTokens: 1, recentTokens: 8 } };
    expect(await start({ cache, more: { workers: 2, threads: 2, decode } })).toMatchObject({ reused: true });
  });

  test("calibrates again for other windows, another text, another format, a changed model or changed code of the plugin", async () => {
    const cache = bench.path("cache");
    const other = join(bench.folder, "other.txt");
    writeFileSync(other, readFileSync(bench.text, "utf8").split(" ").reverse().join(" "));
    const helper = join(bench.folder, "helper.mjs");
    writeFileSync(helper, "export const factor = 1;");
    const plugin = bench.plugin(
      `() => ({ statistics: ["mean"], sparsify: ({ weight }) => ({ ...weight, data: weight.data.map((w) => w * factor) }) })`,
    );
    writeFileSync(plugin.module, `import { factor } from "./helper.mjs";\n${readFileSync(plugin.module, "utf8")}`);
    const again = async (change: Omit<Start, "cache">) => (await start({ cache, plugin, ...change })).reused;
    expect(await again({})).toBe(false);
    expect(await again({})).toBe(true);
    expect(await again({ calibration: { seed: 1 } })).toBe(false);
    expect(await again({ calibration: { text: other } })).toBe(false);
    expect(await again({ more: { precision: "bf16" } })).toBe(false);
    utimesSync(join(bench.model, "model.safetensors"), 1, 1);
    expect(await again({})).toBe(false);
    writeFileSync(helper, "export const factor = 2;");
    expect(await again({})).toBe(false);
    expect(await again({})).toBe(true);
  });

  test.each<[string, (entry: string) => void, RegExp]>([
    ["a bit of a matrix is flipped", (entry) => flip(join(entry, "1.up_proj.bin"), 200), /damaged/],
    ["its digest is changed", (entry) => flip(join(entry, "1.up_proj.bin"), 3), /damaged/],
    ["a matrix is cut", (entry) => truncateSync(join(entry, "0.q_proj.bin"), 100), /damaged/],
    ["a matrix is empty", (entry) => truncateSync(join(entry, "0.q_proj.bin"), 0), /damaged/],
    [
      "a matrix is missing",
      (entry) => writeFileSync(join(entry, "state.json"), stateWith(entry, { file: "x.bin" })),
      /x\.bin/,
    ],
    [
      "a matrix is of another place",
      (entry) => writeFileSync(join(entry, "state.json"), stateWith(entry, { projection: "gate_proj" })),
      /gate_proj of layer 0 does not fit/,
    ],
    [
      "a matrix lies elsewhere",
      (entry) => writeFileSync(join(entry, "state.json"), stateWith(entry, { file: "../x" })),
      /not an entry/,
    ],
    ["what it says of itself is no JSON", (entry) => writeFileSync(join(entry, "state.json"), "{"), /not an entry/],
    [
      "it is that of another key",
      (entry) => writeFileSync(join(entry, "state.json"), stateWith(entry, {}, "0")),
      /not an entry/,
    ],
  ])("ignores an entry with one line, calibrates and keeps it anew where %s", async (_, damage, message) => {
    const cache = bench.path("cache");
    const first = await start({ cache });
    damage(join(cache, entriesOf(cache)[0]));
    const second = await start({ cache });
    expect(second).toMatchObject({ calibrated: true, reused: false, answer: first.answer });
    expect(second.notices).toEqual([expect.stringMatching(message), expect.stringContaining("kept in")]);
    expect(second.notices[0]).not.toContain("\n");
    expect(await start({ cache })).toMatchObject({ reused: true, answer: first.answer });
  });

  test("shares a folder with engines that start at the same time", async () => {
    const cache = bench.path("cache");
    const both = await Promise.all([start({ cache }), start({ cache })]);
    expect(both[1].answer).toEqual(both[0].answer);
    expect(entriesOf(cache)).toHaveLength(1);
    expect(await start({ cache })).toMatchObject({ reused: true, answer: both[0].answer });
  });

  test("goes on without a folder that cannot be used, and says why", async () => {
    const cache = join(bench.text, "inside-a-file");
    const { answer, notices } = await start({ cache });
    expect(notices.at(-1)).toMatch(/not kept in ".*inside-a-file"/);
    expect(answer).toEqual((await start({ cache: false })).answer);
  });

  test("keeps nothing larger than the whole cache may be, and says so", async () => {
    const cache = bench.path("cache");
    const { notices } = await start({ cache, calibration: { cacheGigabytes: 0 } });
    expect(notices).toEqual([
      expect.stringMatching(/not kept, 0\.0 MB are more than calibration\.cacheGigabytes allows/),
    ]);
    expect(existsSync(cache)).toBe(false);
  });

  test("keeps nothing where no sparsifier calibrates", async () => {
    const cache = bench.path("cache");
    const plugin = bench.keeping("i % 2");
    expect(await start({ cache, plugin })).toMatchObject({ reused: false, notices: [] });
    expect(existsSync(cache)).toBe(false);
  });

  test("takes a cache of YAML relative to its file", async () => {
    const file = join(bench.path("relative"), "pipeline.yaml");
    mkdirSync(dirname(file));
    const { prefill: _, ...pipeline } = tinyPipeline(bench.model, {
      plugins: [used.module],
      weights: [{ sparsifier: used.id }],
    });
    const calibration = { text: bench.text, sequences: 2, length: 20, cache: "kept" };
    writeFileSync(file, JSON.stringify({ ...pipeline, calibration }));
    await (await createEngine(file, { allowPlugins: [bench.folder] })).close();
    expect(entriesOf(join(dirname(file), "kept"))).toHaveLength(1);
  });
});

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] ^= 1;
  writeFileSync(file, bytes);
}

/** The entry's description with its first matrix changed. */
function stateWith(entry: string, matrix: object, key?: string): string {
  const state = JSON.parse(readFileSync(join(entry, "state.json"), "utf8"));
  const [first, ...rest] = state.matrices;
  return JSON.stringify({ ...state, ...(key && { key }), matrices: [{ ...first, ...matrix }, ...rest] });
}
