import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { WinnowError } from "@winnow/core";

/** The book that ships with the project; see the README beside it. */
const builtInText = fileURLToPath(new URL("../../data/calibration.txt", import.meta.url));

/** What statistics are gathered on. */
export interface CalibrationText {
  /** File or folder name, without its path. */
  readonly name: string;
  readonly path: string;
  /** Of the texts, in order, as hexadecimal digits. */
  readonly sha256: string;
  /** The texts of a folder, or the one of a file. */
  readonly texts: readonly string[];
  readonly isFolder: boolean;
}

/**
 * Reads a text file, or the .txt and .md files of a folder in order of their names; without a path the built-in book.
 * Errors: `ERR_CALIBRATION` for what cannot be read or holds no text.
 */
export function readCalibrationText(path: string = builtInText): CalibrationText {
  const isFolder = reading(path, () => statSync(path).isDirectory());
  const files = isFolder ? textFiles(path) : [path];
  const texts = files.map((file) => reading(file, () => decodeText(readFileSync(file))));
  if (texts.every((text) => text.trim() === "")) throw failure(path, "it holds no text", "Give a text with prose");
  const hash = createHash("sha256");
  for (const text of texts) hash.update(text).update("\0");
  return { name: basename(path), path, sha256: hash.digest("hex"), texts, isFolder };
}

/** The whole calibration text as one, files of a folder apart by an empty line. */
export function joinedText({ texts }: CalibrationText): string {
  return texts.join("\n\n");
}

/** Documents in the sense of the reference implementations: the files of a folder, or the lines of a file that are not empty. */
export function documentsOf({ texts, isFolder }: CalibrationText): string[] {
  return isFolder ? [...texts] : texts[0].split(/\r?\n/).filter((line) => line.trim() !== "");
}

function textFiles(folder: string): string[] {
  const names = reading(folder, () => readdirSync(folder)).filter((name) => /\.(txt|md)$/i.test(name));
  if (names.length === 0) throw failure(folder, "it holds no .txt or .md file", "Put text files into it");
  // By code units, so that the order is the same everywhere.
  return names.sort((a, b) => (a < b ? -1 : 1)).map((name) => join(folder, name));
}

function decodeText(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

function reading<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw failure(path, (cause as Error).message, "Give a UTF-8 text file or a folder of such", cause);
  }
}

function failure(path: string, problem: string, advice: string, cause?: unknown): WinnowError {
  return new WinnowError("ERR_CALIBRATION", `Cannot read the calibration text "${path}": ${problem}. ${advice}.`, {
    cause,
  });
}
