import { CsvLog, type CsvValue } from "./csv.js";
import type { QualityCell } from "./quality-cells.js";

/** What all cells of a table have in common. */
export interface QualitySettings {
  readonly model: string;
  /** Files to score; undefined: the built-in book. */
  readonly texts: readonly (string | undefined)[];
  /** Tokens of a window, and windows of each text at most. */
  readonly length: number;
  readonly windows: number;
  /** Needle prompts, and tokens of each; 0 prompts: none. */
  readonly needles: number;
  readonly needleLength: number;
}

export interface QualityResult {
  readonly method: string;
  readonly setting: string;
  /** Tokens of a window that used selections. */
  readonly sparse: "none" | "all";
  /** One for each text. */
  readonly perplexity: readonly QualityPerplexity[];
  readonly needlesFound: number | null;
  /** Bytes of the matrices read in a decoded token, mean over needle answers; null without needles. */
  readonly weightBytesRead: number | null;
  readonly seconds: number;
  /** Why there are no numbers. */
  readonly error?: string;
}

export interface QualityPerplexity {
  readonly perplexity: number | "inf";
  /** Of the cross entropy, in nats; null with one window. */
  readonly standardError: number | null;
}

const settingColumns = ["model", "method", "setting", "sparse", "length", "windows", "needles", "needleLength"];
const resultColumns = ["needlesFound", "weightBytesRead", "seconds", "error"];

/** A text as tables and files name it. */
export function textName(text: string | undefined): string {
  return text ?? "built-in book";
}

/** Results of a quality benchmark in a CSV file, one row a cell, written as they come. */
export class QualityLog {
  readonly #log: CsvLog;
  readonly #settings: QualitySettings;

  /** Errors as of {@link CsvLog.open}. */
  constructor(file: string, settings: QualitySettings, resume: boolean) {
    this.#settings = settings;
    const texts = settings.texts.flatMap((text) => [
      `perplexity of ${textName(text)}`,
      `standard error of ${textName(text)}`,
    ]);
    this.#log = CsvLog.open(file, [...settingColumns, ...texts, ...resultColumns], resume);
  }

  add(result: QualityResult): void {
    const { needlesFound, weightBytesRead, seconds, error = null } = result;
    const texts = this.#settings.texts.flatMap((_, index): CsvValue[] => {
      const measured = result.perplexity[index];
      return [measured?.perplexity ?? null, measured?.standardError ?? null];
    });
    this.#log.add([...this.#settingValues(result), ...texts, needlesFound, weightBytesRead, seconds, error]);
  }

  /** What an earlier run with the same settings measured of a cell; failures count as not measured. The last row wins. */
  find(cell: QualityCell): QualityResult | undefined {
    const wanted = this.#settingValues({ ...cell, sparse: sparseOf(cell) }).map(String);
    const row = this.#log
      .rows()
      .findLast((values) => values.error === "" && settingColumns.every((name, i) => values[name] === wanted[i]));
    return row && this.#resultOf(cell, row);
  }

  #settingValues({ method, setting, sparse }: Pick<QualityResult, "method" | "setting" | "sparse">): CsvValue[] {
    const { model, length, windows, needles, needleLength } = this.#settings;
    return [model, method, setting, sparse, length, windows, needles, needleLength];
  }

  #resultOf(cell: QualityCell, row: Readonly<Record<string, string>>): QualityResult {
    return {
      method: cell.method,
      setting: cell.setting,
      sparse: sparseOf(cell),
      perplexity: this.#settings.texts.map((text) => {
        const perplexity = row[`perplexity of ${textName(text)}`];
        return {
          perplexity: perplexity === "inf" ? perplexity : Number(perplexity),
          standardError: numberOrNull(row[`standard error of ${textName(text)}`]),
        };
      }),
      needlesFound: numberOrNull(row.needlesFound),
      weightBytesRead: numberOrNull(row.weightBytesRead),
      seconds: Number(row.seconds),
    };
  }
}

export function sparseOf({ selects }: Pick<QualityCell, "selects">): QualityResult["sparse"] {
  return selects ? "all" : "none";
}

function numberOrNull(text: string): number | null {
  return text === "" ? null : Number(text);
}
