import { existsSync, mkdirSync, readdirSync, realpathSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join, resolve, sep } from "node:path";
import { WinnowError } from "@winnow/core";

/**
 * Fills a new folder beside `out` and puts it in the place of `out` once it is complete; if `fill` fails, nothing is left and `out` is as it was.
 *
 * A folder that holds something is replaced only with `overwrite`, only if it is a model folder, and never if it is or holds `source`.
 * Errors: `ERR_OUTPUT_FILE` for these and whenever the file system refuses; those of `fill`.
 */
export async function replaceFolder<T>(
  out: string,
  source: string,
  overwrite: boolean,
  fill: (folder: string) => Promise<T>,
): Promise<T> {
  return withFileErrors(out, async () => {
    const target = resolveTarget(out);
    checkTarget(target, source, overwrite);
    const unique = `${process.pid}.${process.hrtime.bigint()}`;
    const temporary = join(dirname(target), `.${basename(target)}.${unique}.tmp`);
    mkdirSync(dirname(target), { recursive: true });
    mkdirSync(temporary);
    try {
      const result = await fill(temporary);
      publish(temporary, target, join(dirname(target), `.${basename(target)}.${unique}.old`));
      return result;
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  });
}

/** The folder itself where `out` is a link to one: the link stays. */
function resolveTarget(out: string): string {
  return existsSync(out) ? realpathSync(out) : resolve(out);
}

function checkTarget(target: string, source: string, overwrite: boolean): void {
  const stats = statSync(target, { throwIfNoEntry: false });
  if (!stats) return;
  if (!stats.isDirectory()) throw outputError(target, "it is a file", "Give a folder");
  const names = readdirSync(target);
  if (names.length === 0) return;
  if (!overwrite) throw outputError(target, "the folder is not empty", "Choose another, or allow overwriting");
  if (!names.includes("config.json")) {
    throw outputError(target, "it is not a model folder (no config.json), so it is not overwritten", "Choose another");
  }
  if (`${realpathSync(source)}${sep}`.startsWith(`${target}${sep}`)) {
    throw outputError(target, "it holds the model that is being read", "Choose another");
  }
}

function publish(temporary: string, target: string, old: string): void {
  if (existsSync(target)) renameSync(target, old);
  try {
    renameSync(temporary, target);
  } catch (error) {
    if (existsSync(old)) renameSync(old, target);
    throw error;
  }
  rmSync(old, { recursive: true, force: true });
}

async function withFileErrors<T>(out: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const fromFileSystem = cause instanceof Error && "syscall" in cause;
    if (!fromFileSystem) throw cause;
    throw new WinnowError(
      "ERR_OUTPUT_FILE",
      `Cannot write model "${out}": ${cause.message}. Check the folder, its rights and the free space.`,
      { cause },
    );
  }
}

function outputError(path: string, problem: string, advice: string): WinnowError {
  return new WinnowError("ERR_OUTPUT_FILE", `Cannot write model "${path}": ${problem}. ${advice}.`);
}
