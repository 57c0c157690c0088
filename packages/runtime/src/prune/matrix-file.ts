import { createHash } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { deserialize, serialize } from "node:v8";
import { type LinearWeight, WinnowError } from "@winnow/core";

const DIGEST_BYTES = 32;

/** Keeps a finished matrix, after a SHA-256 of it; a file is there as a whole or not at all. Returns its bytes. Errors: `ERR_OUTPUT_FILE`. */
export function writeMatrixFile(file: string, weight: LinearWeight): number {
  try {
    const content = serialize(weight);
    writeFileSync(`${file}.part`, Buffer.concat([digestOf(content), content]));
    renameSync(`${file}.part`, file);
    return DIGEST_BYTES + content.length;
  } catch (cause) {
    throw workFileError("write", file, cause);
  }
}

/** A matrix that {@link writeMatrixFile} kept. Errors: `ERR_OUTPUT_FILE`, also where the file was changed. */
export function readMatrixFile(file: string): LinearWeight {
  try {
    const bytes = readFileSync(file);
    const content = bytes.subarray(DIGEST_BYTES);
    if (!digestOf(content).equals(bytes.subarray(0, DIGEST_BYTES))) throw new Error("it is damaged");
    return deserialize(content) as LinearWeight;
  } catch (cause) {
    throw workFileError("read", file, cause);
  }
}

function digestOf(content: Uint8Array): Buffer {
  return createHash("sha256").update(content).digest();
}

function workFileError(action: string, file: string, cause: unknown): WinnowError {
  return new WinnowError(
    "ERR_OUTPUT_FILE",
    `Cannot ${action} the work file "${file}": ${(cause as Error).message}. Check the free space and the rights of its folder; delete the folder to start anew.`,
    { cause },
  );
}
