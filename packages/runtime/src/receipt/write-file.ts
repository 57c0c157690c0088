import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { WinnowError } from "@winnow/core";

/** Writes a text file as a whole or not at all: to a temporary name beside it, then renamed. Throws `ERR_OUTPUT_FILE`. */
export function writeFileAtomically(file: string, text: string): void {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(temporary, text);
    renameSync(temporary, file);
  } catch (error) {
    removeIfThere(temporary);
    const detail = error instanceof Error ? error.message : String(error);
    throw new WinnowError(
      "ERR_OUTPUT_FILE",
      `Cannot write "${file}": ${detail}. Check that the folder can be written, or choose another with output.`,
      { cause: error },
    );
  }
}

function removeIfThere(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // Its folder is no folder: then nothing was written, and the error of writing is the one to report.
  }
}
