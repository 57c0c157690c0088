import { existsSync } from "node:fs";
import { join } from "node:path";
import { createEngine, type Engine, type GenerateInput } from "@winnow/runtime";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  allTokens,
  answerBits,
  modelFolder,
  someIds,
  withEngine,
  withFolder,
  writePlugin,
} from "../../test-support/engines.js";

const forever = { maxNewTokens: 20_000, stop: { endOfSequence: false } };
const reason = new Error("the caller's own reason");

/** Long enough that a prefill that is not stopped is far from done. */
const longPrompt = { ids: someIds(8192) };

const isUsable = async (engine: Engine) =>
  expect(await allTokens(engine.generate("Go on", { maxNewTokens: 3 }))).toHaveLength(3);

/** Gives `run` a signal and a function that aborts it; the run must reject with the signal's reason, soon. */
async function expectAborted(run: (signal: AbortSignal, abort: () => void) => Promise<unknown>): Promise<void> {
  const controller = new AbortController();
  let abortedAt = Number.NaN;
  const abort = () => {
    if (controller.signal.aborted) return;
    abortedAt = performance.now();
    controller.abort(reason);
  };
  await expect(run(controller.signal, abort)).rejects.toBe(reason);
  // Meant to be 250 ms; the bound only tells a stop from running to the end on a busy machine.
  expect(performance.now() - abortedAt).toBeLessThan(2000);
}

describe("An aborted signal", () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await createEngine({ model: modelFolder, threads: 1 });
  });
  afterAll(() => engine.close());

  const generate = (input: GenerateInput) => engine.generate(longPrompt, { ...forever, ...input }).text();

  test("before the start rejects at once with its reason", async () => {
    const signal = AbortSignal.abort(reason);
    await expect(generate({ signal })).rejects.toBe(reason);
    await expect(engine.encode("a", { signal })).rejects.toBe(reason);
    await expect(createEngine({ model: modelFolder }, { signal })).rejects.toBe(reason);
    await isUsable(engine);
  });

  test("without a reason rejects with the AbortError that the signal holds", async () => {
    const signal = AbortSignal.abort();
    await expect(generate({ signal })).rejects.toBe(signal.reason);
    expect(signal.reason).toMatchObject({ name: "AbortError" });
  });

  test("during load stops createEngine", () =>
    expectAborted((signal, abort) => createEngine({ model: modelFolder }, { signal, onProgress: abort })));

  test("during prefill stops it, and the engine goes on", async () => {
    await expectAborted((signal, abort) => generate({ signal, onProgress: abort }));
    await isUsable(engine);
  });

  test("while the task waits for a worker stops it, and the running one goes on", async () => {
    const running = answerBits(engine.generate({ ids: someIds(4000) }, { maxNewTokens: 2 }));
    await expectAborted((signal, abort) => {
      setImmediate(abort);
      return generate({ signal });
    });
    expect(await running).toHaveLength(2);
  });

  test("during decode stops it after the tokens that came, and the engine goes on", async () => {
    let tokens = 0;
    await expectAborted(async (signal, abort) => {
      for await (const _ of engine.generate("Once", { ...forever, signal })) if (++tokens === 20) abort();
    });
    expect(tokens).toBeGreaterThanOrEqual(20);
    await isUsable(engine);
  });

  test("that comes after the end changes nothing", async () => {
    const controller = new AbortController();
    const generation = engine.generate("Once", { maxNewTokens: 2, signal: controller.signal });
    await generation.text();
    controller.abort(reason);
    expect(generation.finishReason).toBe("length");
    await isUsable(engine);
  });
});

describe("A plugin", () => {
  const exits = "() => ({ plan() { process.exit(1); } })";
  const throwsLater = `() => ({ plan() {
    setImmediate(() => { throw new Error("late"); });
    return [{ form: "dense" }];
  } })`;

  const withMasker = (create: string, workers: number, use: (engine: Engine) => Promise<void>) =>
    withFolder((folder) => {
      const plugins = [writePlugin(folder, "bad-masker", "masker", create)];
      return withEngine({ plugins, workers, prefill: { masker: "bad-masker" } }, use);
    });

  test("in an endless loop is ended by an abort, and its worker is replaced", () =>
    withFolder(async (folder) => {
      const begun = join(folder, "begun");
      const endless = `() => ({ plan() {
        process.getBuiltinModule("node:fs").writeFileSync(${JSON.stringify(begun)}, "");
        for (;;) {}
      } })`;
      await withMasker(endless, 1, async (engine) => {
        await expectAborted(async (signal, abort) => {
          const text = engine.generate({ ids: someIds(100) }, { signal }).text();
          await vi.waitFor(() => expect(existsSync(begun)).toBe(true), { timeout: 20_000 });
          abort();
          return text;
        });
        expect(await allTokens(engine.generate("Go on", { maxNewTokens: 3, dense: true }))).toHaveLength(3);
      });
    }));

  test("that exits fails its own run with ERR_WORKER_DIED and what to do; other sequences go on", () =>
    withMasker(exits, 2, async (engine) => {
      const other = answerBits(engine.generate({ ids: someIds(4000) }, { maxNewTokens: 40, dense: true }));
      await expect(engine.generate({ ids: someIds(100) }).text()).rejects.toMatchObject({
        code: "ERR_WORKER_DIED",
        message: expect.stringMatching(/worker ended.*run this one again/i),
      });
      expect(await other).toHaveLength(40);
      const both = [1, 2].map(() => allTokens(engine.generate("Go on", { maxNewTokens: 3, dense: true })));
      for (const tokens of await Promise.all(both)) expect(tokens).toHaveLength(3);
    }));

  test("that throws outside of its call fails with ERR_WORKER_DIED, and the pool recovers", () =>
    withMasker(throwsLater, 1, async (engine) => {
      const run = engine.generate({ ids: someIds(600) }, forever).text();
      await expect(run).rejects.toMatchObject({ code: "ERR_WORKER_DIED", message: expect.stringContaining("late") });
      expect(await allTokens(engine.generate("Go on", { maxNewTokens: 3, dense: true }))).toHaveLength(3);
    }));
});

describe("Engine.close", () => {
  const closed = { code: "ERR_ENGINE_CLOSED" };

  test("ends running prefill and decode with ERR_ENGINE_CLOSED", async () => {
    const engine = await createEngine({ model: modelFolder, workers: 2, threads: 1 });
    const decoding = engine.generate("Once", forever);
    const prefilling = engine.prefill(longPrompt);
    const rejections = [
      expect(prefilling).rejects.toMatchObject(closed),
      expect(
        (async () => {
          for await (const _ of decoding) void engine.close();
        })(),
      ).rejects.toMatchObject(closed),
    ];
    await Promise.all(rejections);
  });

  test("amid native code ends running and waiting prompts, not the process", async () => {
    for (const layer of [1, 2, 3]) {
      const engine = await createEngine({ model: modelFolder, workers: 2, threads: 1 });
      let layers = 0;
      const onProgress = () => {
        if (++layers === layer) void engine.close();
      };
      const runs = [0, 1, 2, 3].map(() => engine.prefill({ ids: someIds(3000) }, { onProgress }));
      for (const run of await Promise.allSettled(runs))
        expect(run).toMatchObject({ status: "rejected", reason: closed });
    }
  });

  test("refuses later calls with ERR_ENGINE_CLOSED; closing twice does nothing", async () => {
    const engine = await createEngine({ model: modelFolder, threads: 1 });
    const sequence = await engine.prefill("Once");
    await engine.close();
    await engine.close();
    await expect(engine.encode("a")).rejects.toMatchObject(closed);
    await expect(engine.generate("a").text()).rejects.toMatchObject(closed);
    await expect(engine.prefill("a")).rejects.toMatchObject(closed);
    await expect(sequence.generate().text()).rejects.toMatchObject(closed);
    expect(engine.explain()).toContain("winnow-16m-32k");
  });
});
