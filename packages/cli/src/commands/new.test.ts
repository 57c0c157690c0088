import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { newCommand } from "./new.js";

let place: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), "winnow-new-"));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(place, { recursive: true });
});

describe("winnow new", () => {
  it("winnow new masker my-own writes a plugin and says what to type next", async () => {
    const write = vi.spyOn(process.stdout, "write").mockReturnValue(true);
    const folder = join(place, "plugin");
    expect(await newCommand("masker", "my-own", { folder })).toBe(0);
    expect(existsSync(join(folder, "src/index.ts"))).toBe(true);
    expect(write.mock.calls.join("")).toMatch(/winnow-plugin-my-own: \d+ files.*npm install.*npm test/s);
  });

  it("winnow new my-own masker is refused, naming the kinds", async () => {
    await expect(newCommand("my-own", "masker", { folder: join(place, "plugin") })).rejects.toThrow("Kinds: masker,");
  });
});
