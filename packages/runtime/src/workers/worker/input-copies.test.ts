import { elementAt, type HeadTensor, headsFirst, sliceTokens, tokensFirst } from "@winnow/core";
import { describe, expect, test } from "vitest";
import { InputCopies } from "./input-copies.js";

const counted = (n: number) => Float32Array.from({ length: n }, (_, index) => index + 1);

/** Elements in the order head, token, channel. */
function elements(x: HeadTensor): number[] {
  const list: number[] = [];
  for (let head = 0; head < x.heads; head++)
    for (let token = 0; token < x.length; token++)
      for (let c = 0; c < x.headDim; c++) list.push(elementAt(x, head, token, c));
  return list;
}

const cache: HeadTensor = { ...headsFirst(counted(2 * 9 * 4), 2, 5, 4), headStride: 9 * 4 };

describe("InputCopies", () => {
  test.each([
    ["tokens first", tokensFirst(counted(2 * 5 * 4), 2, 5, 4)],
    ["heads first", headsFirst(counted(2 * 5 * 4), 2, 5, 4)],
    ["a cache with room", cache],
    ["the last tokens of a cache", sliceTokens(cache, 3, 5)],
    ["one head", headsFirst(counted(3 * 4), 1, 3, 4)],
    ["one token", tokensFirst(counted(2 * 4), 2, 1, 4)],
    ["bf16", headsFirst(new Uint16Array([1, 2, 3, 4]), 2, 1, 2)],
  ])("of copies the elements of %s, and writing into the copy leaves them alone", (_, x) => {
    const before = elements(x);
    const copy = new InputCopies().of("x", x);
    expect(elements(copy)).toEqual(before);
    expect(copy.dtype).toBe(x.dtype);
    copy.data.fill(7);
    expect(elements(x)).toEqual(before);
  });

  test("of uses the memory of a name again, also for smaller ones, and keeps names apart", () => {
    const copies = new InputCopies();
    const large = copies.of("k", headsFirst(counted(40), 2, 5, 4));
    const small = copies.of("k", headsFirst(counted(8), 2, 1, 4));
    expect(small.data.buffer).toBe(large.data.buffer);
    expect(elements(small)).toEqual([...counted(8)]);
    expect(copies.of("v", headsFirst(counted(8), 2, 1, 4)).data.buffer).not.toBe(large.data.buffer);
  });
});
