import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { projections } from "@winnow/core";
import { z } from "zod";

const STATE = "state.json";
const UNFINISHED = ".winnow-unfinished-";
const FORMAT = "winnow-pruned-1";

/** After so long the unfinished folder of a process that was killed is deleted. */
const ABANDONED_MS = 24 * 3600 * 1000;

const stateSchema = z.object({
  format: z.literal(FORMAT),
  key: z.string(),
  bytes: z.int().min(0),
  matrices: z.array(
    z.object({ layer: z.int().min(0), projection: z.enum(projections), file: z.string().regex(/^[\w.-]+$/) }),
  ),
});

/** What a finished entry says about itself. */
export type CacheState = z.output<typeof stateSchema>;
export type CachedMatrix = CacheState["matrices"][number];

/** The user's cache folder: `$XDG_CACHE_HOME/winnow/pruned`, else `~/.cache/winnow/pruned` (Windows: `%LOCALAPPDATA%`). */
export function defaultCacheFolder({ XDG_CACHE_HOME, LOCALAPPDATA }: NodeJS.ProcessEnv = process.env): string {
  const given = [XDG_CACHE_HOME, process.platform === "win32" ? LOCALAPPDATA : undefined];
  const base = given.find((path) => path !== undefined && isAbsolute(path)) ?? join(homedir(), ".cache");
  return join(base, "winnow", "pruned");
}

/**
 * Entries by key, each a folder that appears by renaming when it is complete, so that several processes may share them. All functions throw the file system's own
 * errors. What else lies in the folder is left alone.
 */
export class CacheFolder {
  constructor(readonly path: string) {}

  entry(key: string): string {
    return join(this.path, key);
  }

  /** Undefined where there is no entry. Errors for one that is not whole. */
  read(key: string): CacheState | undefined {
    let text: string;
    try {
      text = readFileSync(join(this.entry(key), STATE), "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    const state = parseState(text);
    if (state?.key !== key) throw new Error("it is not an entry of this cache");
    const now = new Date();
    utimesSync(join(this.entry(key), STATE), now, now);
    return state;
  }

  /** A new folder for the files of an entry. */
  begin(): string {
    mkdirSync(this.path, { recursive: true, mode: 0o700 });
    return mkdtempSync(join(this.path, UNFINISHED));
  }

  /** Makes an entry of a folder that `begin` gave. Where another process was faster, its entry stays. */
  finish(folder: string, state: Omit<CacheState, "format">): void {
    writeFileSync(join(folder, STATE), JSON.stringify({ format: FORMAT, ...state }));
    try {
      renameSync(folder, this.entry(state.key));
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOTEMPTY" && code !== "EEXIST" && code !== "EPERM") throw error;
    }
  }

  remove(key: string): void {
    rmSync(this.entry(key), { recursive: true, force: true });
  }

  /** Deletes entries, the longest unused first, until the others and `keep` take at most `limit` bytes, and what killed processes left. */
  clean(limit: number, keep: string): void {
    const entries = readdirSync(this.path).flatMap((name) => this.#measured(name));
    let bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
    for (const entry of entries.sort((a, b) => a.usedMs - b.usedMs)) {
      if (bytes <= limit) break;
      if (entry.key === keep) continue;
      this.remove(entry.key);
      bytes -= entry.bytes;
    }
    for (const name of readdirSync(this.path).filter((one) => one.startsWith(UNFINISHED))) {
      const path = join(this.path, name);
      const stats = statSync(path, { throwIfNoEntry: false });
      if (stats && Date.now() - stats.mtimeMs > ABANDONED_MS) rmSync(path, { recursive: true, force: true });
    }
  }

  #measured(key: string): { readonly key: string; readonly bytes: number; readonly usedMs: number }[] {
    try {
      const file = join(this.entry(key), STATE);
      const state = parseState(readFileSync(file, "utf8"));
      return state?.key === key ? [{ key, bytes: state.bytes, usedMs: statSync(file).mtimeMs }] : [];
    } catch {
      // No entry, or one that another process is deleting.
      return [];
    }
  }
}

function parseState(text: string): CacheState | undefined {
  try {
    return stateSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
