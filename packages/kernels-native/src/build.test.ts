import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const hasCompiler = ["c++", "g++", "clang++"].some((command) => spawnSync(command, ["--version"]).status === 0);
const scripts = fileURLToPath(new URL("../scripts", import.meta.url));

/** What Node calls when it loads an add-on. */
const emptyAddon =
  'extern "C" __attribute__((visibility("default"))) void* napi_register_module_v1(void*, void* exports) { return exports; }\n';

let folder: string;

/** A package with the real build script and three tiny translation units. */
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "winnow-build-"));
  cpSync(scripts, join(folder, "scripts"), { recursive: true });
  write("native/a/a.h", "int answer();\n");
  write("native/a/a.cc", '#include "a/a.h"\nint answer() { return 42; }\n');
  write("native/b/b.cc", "int other() { return 1; }\n");
  write("native/c/c.cc", emptyAddon);
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): void {
  mkdirSync(join(folder, name, ".."), { recursive: true });
  writeFileSync(join(folder, name), text);
}

function build(args: string[] = [], environment: Record<string, string> = {}) {
  const env = { ...process.env, ...environment };
  return spawnSync(process.execPath, [join(folder, "scripts/build.mjs"), ...args], { encoding: "utf8", env });
}

const changed = (name: string) => statSync(join(folder, "build", name)).mtimeMs;

test("build without a compiler succeeds, says in one paragraph what that costs, and records why", () => {
  write("build/winnow_native.node", "of an earlier build");
  const { status, stderr } = build([], { PATH: "", CXX: "" });
  expect(status).toBe(0);
  expect(stderr.trim().split("\n")).toHaveLength(1);
  expect(stderr).toMatch(/slower.*install/);
  expect(JSON.parse(readFileSync(join(folder, "build/unavailable.json"), "utf8")).reason).toMatch(/no C\+\+ compiler/);
  expect(existsSync(join(folder, "build/winnow_native.node"))).toBe(false);
});

test("build with a CXX that does not run is an error that names it", () => {
  const { status, stderr } = build([], { CXX: "no-such-compiler" });
  expect(status).toBe(1);
  expect(stderr).toContain('CXX names "no-such-compiler"');
});

test("build refuses an option that it does not know", () => {
  const { status, stderr } = build(["--tset"]);
  expect(status).toBe(1);
  expect(stderr).toContain("--test");
});

describe.skipIf(!hasCompiler)("build with a compiler", () => {
  test("makes the add-on once, and again only from what changed", () => {
    expect(build()).toMatchObject({ status: 0, stderr: "" });
    const before = ["winnow_native.node", "objects/a-a.cc.o", "objects/b-b.cc.o"].map(changed);
    build();
    expect(["winnow_native.node", "objects/a-a.cc.o", "objects/b-b.cc.o"].map(changed)).toEqual(before);
    write("native/a/a.h", "int answer();\nint more();\n");
    build();
    expect(changed("objects/a-a.cc.o")).toBeGreaterThan(before[1]);
    expect(changed("objects/b-b.cc.o")).toBe(before[2]);
  });

  test("clears the record of an earlier build without compiler", () => {
    write("build/unavailable.json", "{}");
    build();
    expect(existsSync(join(folder, "build/unavailable.json"))).toBe(false);
  });

  test("ends with status 1 and the compiler's words for code that does not compile", () => {
    write("native/b/b.cc", "int other() { return undeclared; }\n");
    const { status, stderr } = build();
    expect(status).toBe(1);
    expect(stderr).toMatch(/Cannot compile native.b.b\.cc:[\s\S]*undeclared/);
  });

  test("ends with status 1 for an add-on that Node cannot load, and keeps none", () => {
    write("native/b/b.cc", "extern int nowhere;\nint* other() { return &nowhere; }\n");
    const { status, stderr } = build();
    expect(status).toBe(1);
    expect(stderr).toMatch(/linked but does not load:[\s\S]*nowhere/);
    expect(existsSync(join(folder, "build/winnow_native.node"))).toBe(false);
  });

  test("runs tests and passes on their failure", () => {
    write("native/a/test.cc", '#include "a/a.h"\nint main() { return answer() == 42 ? 0 : 1; }\n');
    write("native/b/test.cc", "int main() { return 3; }\n");
    expect(build(["--test", "a"]).status).toBe(0);
    const { status, stderr } = build(["--test"]);
    expect(status).toBe(1);
    expect(stderr).toContain("native/b/test.cc failed (exit status 3)");
  });

  test("packs a prebuilt add-on for the platform", () => {
    build(["--prebuild"]);
    expect(existsSync(join(folder, "prebuilds", `${process.platform}-${process.arch}`, "winnow_native.node"))).toBe(
      true,
    );
  });

  test.runIf(process.arch === "x64")(
    "leaves out the AVX-512 unit, and says so, where the compiler does not know the flags",
    () => {
      write("native/a/x86_avx512.cc", "#error must not be compiled\n");
      write("old-compiler", '#!/bin/sh\ncase "$*" in *avx512bf16*) exit 1;; esac\nexec c++ "$@"\n');
      chmodSync(join(folder, "old-compiler"), 0o755);
      const { status, stderr } = build([], { CXX: join(folder, "old-compiler") });
      expect(status).toBe(0);
      expect(stderr).toContain("building without the x86_avx512 kernels");
    },
  );
});
