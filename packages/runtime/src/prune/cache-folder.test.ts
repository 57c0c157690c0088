import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { tempFolder } from "../testing/temp-packages.js";
import { CacheFolder, defaultCacheFolder } from "./cache-folder.js";

let path: string;
let cache: CacheFolder;
beforeEach(() => {
  path = join(tempFolder(), "cache");
  cache = new CacheFolder(path);
});

/** An entry that was used so many seconds ago. */
function entry(key: string, bytes: number, age: number): void {
  cache.finish(cache.begin(), { key, bytes, matrices: [] });
  const used = Date.now() / 1000 - age;
  utimesSync(join(path, key, "state.json"), used, used);
}

describe("CacheFolder", () => {
  test("clean deletes the longest unused entries until the others take at most the limit", () => {
    for (const [index, key] of ["a", "b", "c", "d"].entries()) entry(key, 10, 100 - index);
    cache.read("a");
    cache.clean(25, "d");
    expect(readdirSync(path).sort()).toEqual(["a", "d"]);
  });

  test("clean deletes nothing at exactly the limit, and never the entry to keep", () => {
    entry("old", 10, 100);
    entry("new", 10, 0);
    cache.clean(20, "new");
    expect(readdirSync(path)).toHaveLength(2);
    cache.clean(5, "old");
    expect(readdirSync(path)).toEqual(["old"]);
  });

  test("clean leaves alone what is no entry, and deletes unfinished folders after a day", () => {
    entry("a", 10, 0);
    writeFileSync(join(path, "notes.txt"), "mine");
    mkdirSync(join(path, "album"));
    const [killed, busy] = [cache.begin(), cache.begin()];
    const dayBefore = Date.now() / 1000 - 25 * 3600;
    utimesSync(killed, dayBefore, dayBefore);
    cache.clean(0, "b");
    expect(existsSync(killed)).toBe(false);
    expect(
      readdirSync(path)
        .map((name) => join(path, name))
        .sort(),
    ).toEqual([join(path, "album"), join(path, "notes.txt"), busy].sort());
  });

  test("finish keeps the entry of a process that was faster, and leaves no unfinished folder", () => {
    const [slow, fast] = [cache.begin(), cache.begin()];
    cache.finish(fast, { key: "a", bytes: 1, matrices: [] });
    cache.finish(slow, { key: "a", bytes: 2, matrices: [] });
    expect(cache.read("a")).toMatchObject({ bytes: 1 });
    expect(readdirSync(path)).toEqual(["a"]);
  });

  test("read knows no entry before it is finished", () => {
    cache.begin();
    expect(cache.read("a")).toBeUndefined();
  });
});

test("defaultCacheFolder follows XDG_CACHE_HOME if it is absolute", () => {
  expect(defaultCacheFolder({ XDG_CACHE_HOME: "/c" })).toBe(join("/c", "winnow", "pruned"));
  expect(defaultCacheFolder({ XDG_CACHE_HOME: "c" })).toMatch(/[\\/]\.cache[\\/]winnow[\\/]pruned$/);
});
