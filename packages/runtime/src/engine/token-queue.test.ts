import { expect, test } from "vitest";
import { TokenQueue } from "./token-queue.js";

test("TokenQueue yields what was pushed before and during the iteration, in order", async () => {
  const queue = new TokenQueue<number>();
  let finish: () => void = () => {};
  const end = new Promise<void>((resolve) => {
    finish = resolve;
  });
  queue.push(1);
  const seen: number[] = [];
  for await (const value of queue.until(end)) {
    seen.push(value);
    if (value < 3) queue.push(value + 1);
    else finish();
  }
  expect(seen).toEqual([1, 2, 3]);
});

test("TokenQueue hands out what came before a failure, then rejects with it", async () => {
  const queue = new TokenQueue<number>();
  queue.push(1);
  const seen: number[] = [];
  const iterate = async () => {
    for await (const value of queue.until(Promise.reject(new Error("worker died")))) seen.push(value);
  };
  await expect(iterate()).rejects.toThrow("worker died");
  expect(seen).toEqual([1]);
});
