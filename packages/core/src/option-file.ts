import { readFileSync, statSync } from "node:fs";
import { WinnowError } from "./errors.js";

export interface OptionFile {
  /** Name of the option that holds the path. */
  readonly option: string;
  /** What the path should lead to, after "Give the path of". */
  readonly expected: string;
  readonly maxBytes: number;
}

/** Text of a file that an option of a plugin names. Throws `ERR_CONFIG_FILE` where it is no readable file of at most `maxBytes`. */
export function readOptionFile(path: string, { option, expected, maxBytes }: OptionFile): string {
  try {
    const file = statSync(path);
    if (!file.isFile()) throw new Error("it is not a file");
    if (file.size > maxBytes) throw new Error(`it has ${file.size} bytes, more than ${maxBytes}`);
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new WinnowError(
      "ERR_CONFIG_FILE",
      `Cannot read ${option} ${path}: ${(cause as Error).message}. Give the path of ${expected}, or leave ${option} out.`,
      { cause },
    );
  }
}
