import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { type Case, PruneBench, type TestPlugin } from "../../test-support/prune-bench.js";
import { folderBytes } from "../../test-support/tiny-model.js";
import { tempFolder } from "../testing/temp-packages.js";

let bench: PruneBench;
beforeAll(() => {
  bench = new PruneBench(tempFolder());
});

describe("prune, interrupted,", () => {
  /** Stops the run when a label is seen; returns the notices of the run. */
  async function interrupted(used: TestPlugin, out: string, label: RegExp, more: Case = {}) {
    const controller = new AbortController();
    const reason = new Error("enough");
    const onProgress = (_: number, seen: string) => label.test(seen) && controller.abort(reason);
    await expect(bench.prune(used, { ...more, out, signal: controller.signal, onProgress })).rejects.toBe(reason);
  }

  async function resumed(used: TestPlugin, out: string, more: Case = {}) {
    const notices: string[] = [];
    const { report } = await bench.prune(used, { ...more, out, onNotice: (notice) => notices.push(notice) });
    return { report, notices };
  }

  test.each([
    ["in its second layer's statistics", /^layer 2\/3: statistics/, 1],
    ["in its second layer's matrices", /^layer 2\/3: matrices/, 1],
    ["in its second layer's output", /^layer 2\/3: output/, 1],
    ["while the model is written", /^writing/, 3],
  ])("%s, leaves nothing at out and goes on to the bytes of an uninterrupted run", async (_, label, layers) => {
    const used = bench.scorer();
    const whole = await bench.prune(used);
    const out = bench.path("resumed");
    await interrupted(used, out, label, { more: { workers: 2 } });
    expect(existsSync(out)).toBe(false);
    expect(existsSync(`${out}.partial`)).toBe(true);
    const { report, notices } = await resumed(used, out);
    expect(report.resumedLayers).toBe(layers);
    expect(notices).toEqual([expect.stringContaining(`Going on after ${layers} finished layers`)]);
    expect(report.matrices.map(({ zeros }) => zeros)).toEqual(whole.report.matrices.map(({ zeros }) => zeros));
    expect(folderBytes(out)).toEqual(folderBytes(whole.out));
    expect(existsSync(`${out}.partial`)).toBe(false);
    expect(readdirSync(bench.folder).filter((name) => name.includes(basename(out)))).toHaveLength(1);
  });

  test("starts anew, with a notice, for another configuration, another text or a changed plugin", async () => {
    const used = bench.scorer();
    const out = bench.path("anew");
    const anew = { resumedLayers: 0 };
    await interrupted(used, out, /^layer 3/);
    const other = await resumed(used, out, { more: { calibration: { seed: 1 } } });
    expect(other.report).toMatchObject(anew);
    expect(other.notices).toEqual([expect.stringContaining("Starting anew")]);

    const again = bench.path("anew");
    await interrupted(used, again, /^layer 3/);
    writeFileSync(used.module, `${readFileSync(used.module, "utf8")}// changed`);
    expect((await resumed(used, again)).report).toMatchObject(anew);
  });

  test("starts anew where the state cannot be read", async () => {
    const used = bench.scorer();
    const out = bench.path("broken");
    mkdirSync(`${out}.partial`);
    writeFileSync(join(`${out}.partial`, "state.json"), "{");
    const { report, notices } = await resumed(used, out);
    expect(report.resumedLayers).toBe(0);
    expect(notices).toEqual([expect.stringContaining("Starting anew")]);
  });

  test("ends within its grace even in the endless loop of a plugin", async () => {
    const endless = bench.plugin(`() => ({ statistics: [], sparsify() { for (;;); } })`);
    await interrupted(endless, bench.path("endless"), /matrices/);
  });
});
