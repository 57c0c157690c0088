import { WinnowError } from "@winnow/core";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { PythonRandom } from "./python-random.js";

export interface WindowSettings {
  /** Windows to draw. */
  readonly sequences: number;
  /** Tokens of each. */
  readonly length: number;
  readonly seed: number;
}

/**
 * Windows of one text that is tokenised already, in order of their place; every arrangement without overlap is equally likely. A text that is too short for
 * that gives windows at independent places, which may overlap. Errors: `ERR_CALIBRATION` for a text shorter than one window. O(sequences log sequences).
 */
export function seededWindows(
  ids: Int32Array,
  { sequences, length, seed }: WindowSettings,
  source: string,
): Int32Array[] {
  if (ids.length < length) throw tooShort(source, `holds ${ids.length} tokens`, length, "Give a longer text");
  const random = xoroshiro128plus(seed);
  const spare = ids.length - sequences * length;
  const overlap = spare < 0;
  const last = overlap ? ids.length - length : spare;
  const draws = Array.from({ length: sequences }, () => uniformInt(random, 0, last)).sort((a, b) => a - b);
  return draws.map((draw, index) => {
    const start = overlap ? draw : draw + index * length;
    return ids.slice(start, start + length);
  });
}

/**
 * Windows as the reference code of SparseGPT and Wanda draws them: a document by `randint(0, documents - 1)`, again if it has not more than `length` tokens,
 * then a start by `randint(0, tokens - length - 1)`. `encode` gives the ids of a document and is called once for each that is drawn.
 * Errors: `ERR_CALIBRATION` where no document is long enough.
 */
export function pythonWindows(
  documents: readonly string[],
  encode: (text: string) => Int32Array,
  { sequences, length, seed }: WindowSettings,
  source: string,
): Int32Array[] {
  const random = new PythonRandom(seed);
  const encoded = new Map<number, Int32Array>();
  const tooFew = new Map<number, number>();
  const draw = (): Int32Array => {
    while (tooFew.size < documents.length) {
      const index = random.randint(0, documents.length - 1);
      if (tooFew.has(index)) continue;
      const ids = encoded.get(index) ?? encode(documents[index]);
      if (ids.length > length) {
        encoded.set(index, ids);
        const start = random.randint(0, ids.length - length - 1);
        return ids.slice(start, start + length);
      }
      tooFew.set(index, ids.length);
    }
    const longest = Math.max(0, ...tooFew.values());
    const found = `has ${documents.length} documents, the longest of ${longest} tokens, and python sampling needs more than a window in one`;
    throw tooShort(source, found, length, "Give a folder of longer texts, or set calibration.sampling to seeded");
  };
  return Array.from({ length: sequences }, draw);
}

function tooShort(source: string, found: string, length: number, advice: string): WinnowError {
  return new WinnowError(
    "ERR_CALIBRATION",
    `Cannot calibrate on "${source}": it ${found}, but a window takes ${length} tokens. ${advice}, or lower calibration.length.`,
  );
}
