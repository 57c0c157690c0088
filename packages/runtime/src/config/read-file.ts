import { readFileSync, statSync } from "node:fs";
import { WinnowError } from "@winnow/core";
import { limits } from "./limits.js";

/** Text of a configuration file. Throws `ERR_CONFIG_FILE`. */
export function readConfigText(file: string): string {
  const bytes = readBytes(file);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw fileError(file, "it is not UTF-8 text");
  }
}

function readBytes(file: string): Uint8Array {
  try {
    const status = statSync(file);
    if (status.isDirectory()) throw fileError(file, "it is a folder. Name the YAML file in it");
    // Reading anything else (a pipe, a device) may never end.
    if (!status.isFile()) throw fileError(file, "it is not a regular file");
    if (status.size > limits.bytes) throw fileError(file, `it has ${status.size} bytes, more than ${limits.bytes}`);
    return readFileSync(file);
  } catch (cause) {
    if (cause instanceof WinnowError) throw cause;
    throw fileError(file, reasons[(cause as NodeJS.ErrnoException).code ?? ""] ?? String(cause), cause);
  }
}

const reasons: Record<string, string> = {
  ENOENT: "there is no such file",
  ENOTDIR: "a part of its path is not a folder",
  EACCES: "reading it is not permitted",
  ENAMETOOLONG: "its name is too long",
  ERR_INVALID_ARG_VALUE: "its name has a null character",
};

function fileError(file: string, problem: string, cause?: unknown): WinnowError {
  return new WinnowError("ERR_CONFIG_FILE", `Cannot read ${file}: ${problem}.`, cause === undefined ? {} : { cause });
}
