import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findAddon, loadError } from "./addon.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "winnow-addon-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const platform = `${process.platform}-${process.arch}`;

function write(name: string, text: string): void {
  mkdirSync(join(folder, name, ".."), { recursive: true });
  writeFileSync(join(folder, name), text);
}

function messageOfFailure(): string {
  const loaded = findAddon(folder);
  if ("addon" in loaded) throw new Error("an add-on was loaded");
  const error = loadError(loaded);
  expect(error.code).toBe("ERR_NATIVE_LOAD");
  return error.message;
}

test("findAddon loads the add-on of this package", () => {
  expect(findAddon()).toHaveProperty("addon");
});

test("ERR_NATIVE_LOAD names the platform and both places, and says to build where nothing was built", () => {
  const message = messageOfFailure();
  expect(message).toContain(platform);
  expect(message).toContain(`${join(folder, "build", "winnow_native.node")}: there is no such file`);
  expect(message).toContain(join(folder, "prebuilds", platform, "winnow_native.node"));
  expect(message).toContain("not built yet");
});

test("ERR_NATIVE_LOAD repeats why the build made none", () => {
  write("build/unavailable.json", '{ "reason": "no C++ compiler was found" }');
  expect(messageOfFailure()).toMatch(/no C\+\+ compiler was found\. Install a C\+\+17 compiler/);
});

test("ERR_NATIVE_LOAD gives the loader's own words for an add-on that does not load, and says to rebuild", () => {
  write("build/winnow_native.node", "this is no shared library");
  const message = messageOfFailure();
  expect(message).toContain("was found but does not load");
  expect(message).toMatch(/build.winnow_native\.node: (?!there is no such file)/);
});
