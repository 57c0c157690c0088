import { bandMask, denseMask, fromBf16, headsFirst, type Mask, toBf16, tokensFirst } from "@winnow/core";
import { describe, expect, it } from "vitest";
import { createReference } from "./index.js";

const reference = createReference();
const bf16 = (...values: number[]) => Uint16Array.from(values, toBf16);

function refused(call: () => void, message: RegExp, code = "ERR_OPERATION_ARGUMENT"): void {
  expect(call).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
}

/** One head of width 1; queries 1, so that the scores of all rows are the keys. */
function prefill(keys: number[], values: number[], mask: Mask, options: { cancel?: Int32Array; scale?: number } = {}) {
  const n = keys.length;
  const out = headsFirst(new Float32Array(n), 1, n, 1);
  const logSumExp = new Float32Array(n);
  const cost = reference.prefillAttention({
    q: headsFirst(new Float32Array(n).fill(1), 1, n, 1),
    k: headsFirst(Float32Array.from(keys), 1, n, 1),
    v: headsFirst(Float32Array.from(values), 1, n, 1),
    out,
    scale: 1,
    masks: [mask],
    logSumExp,
    ...options,
  });
  return { out: [...out.data], logSumExp: [...logSumExp], cost };
}

describe("prefillAttention", () => {
  it("softmax of scores (0, ln 3) weighs the values 1/4 and 3/4", () => {
    const { out, logSumExp, cost } = prefill([0, Math.log(3)], [8, 4], denseMask);
    expect(out[0]).toBe(8);
    expect(out[1]).toBeCloseTo(5, 6);
    expect(logSumExp[0]).toBe(0);
    expect(logSumExp[1]).toBeCloseTo(Math.log(4), 6);
    expect(cost).toEqual({ cellsComputed: 3, bytesRead: 3 * 2 * 4 });
  });

  it("equal scores give the mean of the kept values: the A-shape of n = 7", () => {
    const { out, cost } = prefill(
      [0, 0, 0, 0, 0, 0, 0],
      [1, 2, 4, 8, 16, 32, 64],
      bandMask({ sinkTokens: 2, recentTokens: 3 }),
    );
    const expected = [1, 3 / 2, 7 / 3, 15 / 4, 31 / 5, 59 / 5, 115 / 5];
    out.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i], 5);
    });
    expect(cost.cellsComputed).toBe(25);
  });

  it("exact vertical-slash attends to the wanted pairs only", () => {
    const mask: Mask = { form: "vertical-slash", columns: Int32Array.of(1), slashes: Int32Array.of(3, 0), exact: true };
    expect(prefill([0, 0, 0, 0, 0], [1, 2, 4, 8, 16], mask).out).toEqual([1, 2, 3, Math.fround(11 / 3), 9]);
  });

  it("vertical-slash attends to its 64 x 64 cover: row 128 sees column 0 and itself", () => {
    const mask: Mask = { form: "vertical-slash", columns: Int32Array.of(0), slashes: Int32Array.of(0), exact: false };
    const values = Array.from({ length: 129 }, (_, j) => j);
    const { out } = prefill(new Array(129).fill(0), values, mask);
    expect(out[128]).toBe(64);
    expect(out[65]).toBeCloseTo((0 + 64 + 65) / 3, 5);
  });

  it("scores of 1000 neither overflow nor vanish", () => {
    const { out, logSumExp } = prefill([1000, 1000], [1, 3], denseMask);
    expect(out).toEqual([1, 2]);
    expect(logSumExp[1]).toBeCloseTo(1000 + Math.log(2), 3);
  });

  it("query heads 0, 1 read KV head 0 and heads 2, 3 KV head 1, each with its own mask", () => {
    const n = 2;
    const out = headsFirst(new Float32Array(8), 4, n, 1);
    const self = bandMask({ sinkTokens: 0, recentTokens: 1 });
    reference.prefillAttention({
      q: headsFirst(new Float32Array(8), 4, n, 1),
      k: headsFirst(new Float32Array(4), 2, n, 1),
      v: tokensFirst(Float32Array.of(1, 10, 3, 30), 2, n, 1),
      out,
      scale: 1,
      masks: [denseMask, self, denseMask, self],
    });
    expect([...out.data]).toEqual([1, 2, 1, 3, 10, 20, 10, 30]);
  });

  it("out may be q itself", () => {
    const data = Float32Array.of(1, 1, 1, 1);
    const q = headsFirst(data, 1, 2, 2);
    const k = headsFirst(new Float32Array(4), 1, 2, 2);
    const v = headsFirst(Float32Array.of(1, 2, 3, 4), 1, 2, 2);
    reference.prefillAttention({ q, k, v, out: q, scale: 1, masks: [denseMask] });
    expect([...data]).toEqual([1, 2, 2, 3]);
  });

  it("bf16 caches round the query: 1 + 2^-9 scores as 1", () => {
    const one = headsFirst(bf16(1), 1, 1, 1);
    const logSumExp = new Float32Array(1);
    reference.prefillAttention({
      q: headsFirst(Float32Array.of(1 + 2 ** -9), 1, 1, 1),
      k: one,
      v: one,
      out: headsFirst(new Float32Array(1), 1, 1, 1),
      scale: 1,
      masks: [denseMask],
      logSumExp,
    });
    expect(logSumExp[0]).toBe(1);
  });

  it("a row without keys, a NaN scale and a raised flag are refused", () => {
    const empty: Mask = { form: "blocks", blockSize: 16, bits: Uint8Array.of(0) };
    refused(() => prefill([0], [1], empty), /masks\[0\]: .*row block 0 keeps no key/);
    refused(() => prefill([0], [1], denseMask, { scale: Number.NaN }), /scale/);
    refused(() => prefill([0], [1], denseMask, { cancel: Int32Array.of(1) }), /asked to stop/, "ERR_CANCELLED");
  });
});

describe("decodeAttention", () => {
  const q = headsFirst(Float32Array.of(1, 1), 2, 1, 1);
  const k = headsFirst(Float32Array.of(0, Math.log(3), 5), 1, 3, 1);
  const v = headsFirst(Float32Array.of(8, 4, 100), 1, 3, 1);
  const fresh = () => headsFirst(new Float32Array(2), 2, 1, 1);

  it("lengths = 2 leaves the third token out; scores are what was read", () => {
    const out = fresh();
    const scores = new Float32Array(6).fill(-9);
    const logSumExp = new Float32Array(2);
    const cost = reference.decodeAttention({ q, k, v, out, scale: 1, lengths: Int32Array.of(2), scores, logSumExp });
    expect(out.data[0]).toBeCloseTo(5, 6);
    expect(scores[1]).toBeCloseTo(Math.log(3), 6);
    expect(scores[3]).toBe(0);
    expect(logSumExp[1]).toBeCloseTo(Math.log(4), 6);
    expect(cost).toEqual({ cellsComputed: 4, bytesRead: 4 * 8 });
  });

  it("token lists choose per query head", () => {
    const out = fresh();
    const tokens = { indices: Int32Array.of(0, 2), offsets: Int32Array.of(0, 1, 2) };
    const cost = reference.decodeAttention({ q, k, v, out, scale: 1, tokens });
    expect([...out.data]).toEqual([8, 100]);
    expect(cost.cellsComputed).toBe(2);
  });

  it.each([
    ["an empty list", [0], [0, 0, 1], /token list of head 0 must not be empty/],
    ["a token beyond the cache", [0, 3], [0, 1, 2], /index 0 of list 1 must be in 0..2, got 3/],
    ["a repeated token", [1, 1, 0], [0, 2, 3], /index 1 of list 0 must be in 2..2, got 1/],
    ["falling offsets", [0, 1], [0, 2, 1], /offsets\[2\]/],
  ])("%s is refused", (_, indices, offsets, message) => {
    const tokens = { indices: Int32Array.from(indices), offsets: Int32Array.from(offsets) };
    refused(() => reference.decodeAttention({ q, k, v, out: fresh(), scale: 1, tokens }), message);
  });
});

describe("storeTokens and gatherTokens", () => {
  it("storeTokens rounds to the cache's type at its place", () => {
    const cache = headsFirst(new Uint16Array(6), 2, 3, 1);
    reference.storeTokens(tokensFirst(Float32Array.of(1, 2, 3, 4 + 2 ** -7), 2, 2, 1), cache, 1);
    expect(Array.from(cache.data, fromBf16)).toEqual([0, 1, 3, 0, 2, 4]);
  });

  it("gatherTokens moves each head's kept tokens to the front, in place", () => {
    const cache = headsFirst(Float32Array.of(0, 1, 2, 3, 10, 11, 12, 13), 2, 4, 1);
    reference.gatherTokens(cache, Int32Array.of(1, 3, 0, 2, 3), Int32Array.of(0, 2, 5), cache);
    expect([...cache.data.subarray(0, 2)]).toEqual([1, 3]);
    expect([...cache.data.subarray(4, 7)]).toEqual([10, 12, 13]);
  });

  it("more tokens than the target has room for are refused", () => {
    const source = headsFirst(new Float32Array(2), 1, 2, 1);
    refused(() => reference.storeTokens(source, headsFirst(new Float32Array(2), 1, 2, 1), 1), /start must leave room/);
    const small = headsFirst(new Float32Array(1), 1, 1, 1);
    refused(() => reference.gatherTokens(source, Int32Array.of(0, 1), Int32Array.of(0, 2), small), /target.length/);
  });
});
