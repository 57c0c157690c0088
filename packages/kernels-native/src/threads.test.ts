import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { headsFirst, type PrefillAttention, WinnowError } from "@winnow/core";
import { afterAll, expect, test } from "vitest";
import { loadNative } from "./index.js";
import { randomFloats } from "./testing/data.js";

const native = loadNative({ threads: 2 });
afterAll(() => native.close());

function helper(name: string): URL {
  return new URL(`./testing/${name}`, import.meta.url);
}

function shared(values: Float32Array): Float32Array {
  const copy = new Float32Array(new SharedArrayBuffer(values.byteLength));
  copy.set(values);
  return copy;
}

test("operations read and write shared memory, also behind an offset into it", () => {
  const x = new Float32Array(new SharedArrayBuffer(40), 8, 6);
  x.set([1, 2, 3, 4, 5, 6]);
  native.add(x, shared(Float32Array.of(1, 1, 1, 1, 1, 1)), 6);
  expect([...x]).toEqual([2, 3, 4, 5, 6, 7]);
  expect([...new Float32Array(x.buffer)]).toEqual([0, 0, 2, 3, 4, 5, 6, 7, 0, 0]);
});

test("worker threads compute at the same time on one copy of the data, with the same bits", async () => {
  const columns = 500;
  const x = shared(randomFloats(64 * columns, 1));
  const workers = Array.from({ length: 4 }, () => new Worker(helper("sum-worker.mjs"), { workerData: { x, columns } }));
  const expected = new Float32Array(columns);
  native.columnSums(x, 64, columns, expected);
  const results = await Promise.all(workers.map((worker) => once(worker, "message")));
  for (const [{ out, best }] of results) {
    expect(out).toEqual(expected);
    expect(best).toEqual(native.topK(expected, 7));
  }
});

test.each(["exit", "terminate", "close", "drain"])(
  "a process whose workers are computing ends cleanly by %s",
  (ending) => {
    const child = spawnSync(process.execPath, [fileURLToPath(helper("exit-child.mjs")), ending], { encoding: "utf8" });
    expect(child).toMatchObject({ status: 0, signal: null, stderr: "" });
  },
);

function longTask(length: number, cancel: Int32Array): PrefillAttention {
  const view = (heads: number) => headsFirst(randomFloats(heads * length * 64, heads), heads, length, 64);
  return { q: view(4), k: view(2), v: view(2), out: view(4), scale: 0.125, masks: [{ form: "dense" }], cancel };
}

test("prefillAttention stops with ERR_CANCELLED when another thread sets the flag", async () => {
  const started = new Int32Array(new SharedArrayBuffer(4));
  const cancel = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(helper("cancel-worker.mjs"), { workerData: { started, cancel } });
  await once(worker, "online");
  const task = longTask(16_384, cancel);
  Atomics.store(started, 0, 1);
  Atomics.notify(started, 0);
  expect(codeThrownBy(() => native.prefillAttention(task))).toBe("ERR_CANCELLED");
});

test("prefillAttention with a flag that is set already writes nothing", () => {
  const task = longTask(200, new Int32Array(new SharedArrayBuffer(4)).fill(1));
  const before = task.out.data.slice();
  expect(codeThrownBy(() => native.prefillAttention(task))).toBe("ERR_CANCELLED");
  expect(task.out.data).toEqual(before);
});

test("prefillAttention with a flag that stays 0 finishes", () => {
  const task = longTask(200, new Int32Array(new SharedArrayBuffer(4)));
  expect(native.prefillAttention(task).cellsComputed).toBeGreaterThanOrEqual((4 * 200 * 201) / 2);
});

function codeThrownBy(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return error instanceof WinnowError ? error.code : String(error);
  }
}
