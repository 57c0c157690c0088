import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { WinnowError } from "@winnow/core";

export type CsvValue = string | number | null;

/** One line of a CSV file (RFC 4180), with its line break. */
export function csvLine(values: readonly CsvValue[]): string {
  const fields = values.map((value) => {
    const text = value === null ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  });
  return `${fields.join(",")}\n`;
}

/** Fields of every line that is not empty. Quotes that are never closed end with the text. */
export function parseCsv(text: string): string[][] {
  const pattern = /(?:"((?:[^"]|"")*)(?:"|$)|([^,\r\n]*))(,|\r\n?|\n|$)/y;
  const lines: string[][] = [[]];
  while (pattern.lastIndex < text.length) {
    const [, quoted, plain, end] = pattern.exec(text)!;
    lines.at(-1)!.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end !== ",") lines.push([]);
    else if (pattern.lastIndex === text.length) lines.at(-1)!.push("");
  }
  return lines.filter((line) => line.length > 1 || (line[0] ?? "") !== "");
}

/** Rows of a CSV file that grows as results come. */
export class CsvLog {
  readonly #file: string;

  /**
   * Opens a file for more rows; a new one gets the header.
   * Errors: `ERR_OUTPUT_FILE` if it cannot be read or written, or is there and `resume` is not set; `ERR_USAGE` if it has other columns.
   */
  static open(file: string, header: readonly string[], resume: boolean): CsvLog {
    const log = new CsvLog(file);
    if (!existsSync(file)) log.#append(csvLine(header));
    else if (!resume) throw failure(file, "it is there already", "Choose another file, or resume it");
    else log.#checkHeader(header);
    return log;
  }

  private constructor(file: string) {
    this.#file = file;
  }

  /** Rows that are complete, as values by column. */
  rows(): Record<string, string>[] {
    const [header, ...lines] = parseCsv(this.#read());
    const complete = lines.filter((line) => line.length === header.length);
    return complete.map((line) => Object.fromEntries(header.map((name, column) => [name, line[column]])));
  }

  add(values: readonly CsvValue[]): void {
    this.#append(csvLine(values));
  }

  #checkHeader(header: readonly string[]): void {
    const text = this.#read();
    const [found = []] = parseCsv(text);
    if (found.length !== header.length || found.some((name, column) => name !== header[column]))
      throw new WinnowError(
        "ERR_USAGE",
        `Cannot resume "${this.#file}": its columns are [${found.join(", ")}], this run has [${header.join(", ")}]. Give the same texts, or another file.`,
      );
    // An interrupted run may have left half a line.
    if (!text.endsWith("\n")) this.#append("\n");
  }

  #read(): string {
    try {
      return readFileSync(this.#file, "utf8");
    } catch (cause) {
      throw failure(this.#file, (cause as Error).message, "Give a CSV file of an earlier run", cause);
    }
  }

  #append(text: string): void {
    try {
      appendFileSync(this.#file, text);
    } catch (cause) {
      throw failure(this.#file, (cause as Error).message, "Check that its folder is there and can be written", cause);
    }
  }
}

function failure(file: string, problem: string, advice: string, cause?: unknown): WinnowError {
  return new WinnowError("ERR_OUTPUT_FILE", `Cannot write results to "${file}": ${problem}. ${advice}.`, { cause });
}
