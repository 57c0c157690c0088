import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { deserialize, serialize } from "node:v8";
import { type LinearWeight, WinnowError } from "@winnow/core";

/** Keeps a finished matrix in the work folder; a file is there as a whole or not at all. Errors: `ERR_OUTPUT_FILE`. */
export function writeMatrixFile(file: string, weight: LinearWeight): void {
  try {
    writeFileSync(`${file}.part`, serialize(weight));
    renameSync(`${file}.part`, file);
  } catch (cause) {
    throw workFileError("write", file, cause);
  }
}

/** A matrix that {@link writeMatrixFile} kept. Errors: `ERR_OUTPUT_FILE`. */
export function readMatrixFile(file: string): LinearWeight {
  try {
    return deserialize(readFileSync(file)) as LinearWeight;
  } catch (cause) {
    throw workFileError("read", file, cause);
  }
}

function workFileError(action: string, file: string, cause: unknown): WinnowError {
  return new WinnowError(
    "ERR_OUTPUT_FILE",
    `Cannot ${action} the work file "${file}": ${(cause as Error).message}. Check the free space and the rights of its folder; delete the folder to start anew.`,
    { cause },
  );
}
