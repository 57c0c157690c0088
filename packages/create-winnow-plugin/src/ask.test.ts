import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { askMissing } from "./ask.js";

/** A terminal where each question gets the next answer; the input ends after the last. */
function terminal(answers: readonly string[]) {
  const input = Object.assign(new PassThrough(), { isTTY: true });
  const left = [...answers];
  let shown = "";
  const output = new PassThrough();
  output.on("data", (chunk) => {
    shown += chunk;
    if (!String(chunk).endsWith(": ")) return;
    const answer = left.shift();
    if (answer === undefined) input.end();
    else input.write(`${answer}\n`);
  });
  return { input, output, shown: () => shown };
}

describe("askMissing", () => {
  it("asks nothing where name and kind are given", async () => {
    const silent = terminal([]);
    expect(await askMissing({ name: "a", kind: "masker" }, silent)).toEqual({ name: "a", kind: "masker" });
    expect(silent.shown()).toBe("");
  });

  it("asks for what is missing, and again after an answer that cannot be", async () => {
    const dialog = terminal(["Not Good", "my-own", "mask", "masker", "Ada"]);
    expect(await askMissing({}, dialog)).toEqual({ name: "my-own", kind: "masker", author: "Ada" });
    expect(dialog.shown()).toContain("must be lower-case words");
    expect(dialog.shown()).toContain('Did you mean "masker"?');
  });

  it("stops when the input ends", async () => {
    await expect(askMissing({ name: "a" }, terminal([]))).rejects.toMatchObject({ code: "ERR_CANCELLED" });
  });

  it.each([
    [{}, "without a name"],
    [{ name: "a" }, "without a kind"],
  ])("%j is refused where nobody can answer", async (given, problem) => {
    const pipe = { input: new PassThrough(), output: new PassThrough() };
    await expect(askMissing(given, pipe)).rejects.toThrow(problem);
  });
});
