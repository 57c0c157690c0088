const RANGE = 2 ** 32;

/** Keeps each element by its own draw, with probability `density`. */
export function keepBernoulli(words: Uint32Array, density: number): Uint8Array {
  const kept = new Uint8Array(words.length);
  for (let e = 0; e < kept.length; e++) kept[e] = Number(words[e] < density * RANGE);
  return kept;
}

/** Keeps exactly `keep` elements, every subset equally likely. */
export function keepExactly(words: Uint32Array, keep: number): Uint8Array {
  const kept = new Uint8Array(words.length);
  select(words, kept, 0, words.length, keep);
  return kept;
}

/** Keeps `min(keep, size)` of each `of` neighbours along a row, every subset equally likely. */
export function keepInGroups(words: Uint32Array, inFeatures: number, keep: number, of: number): Uint8Array {
  const kept = new Uint8Array(words.length);
  for (let row = 0; row < words.length; row += inFeatures) {
    for (let start = 0; start < inFeatures; start += of) {
      select(words, kept, row + start, Math.min(of, inFeatures - start), keep);
    }
  }
  return kept;
}

/** Selection sampling (Knuth, The Art of Computer Programming, vol. 2, 3.4.2, algorithm S): one draw an element, no sorting. */
function select(words: Uint32Array, kept: Uint8Array, start: number, size: number, keep: number): void {
  let missing = Math.min(keep, size);
  for (let i = 0; i < size; i++) {
    if (words[start + i] * (size - i) >= missing * RANGE) continue;
    kept[start + i] = 1;
    missing--;
  }
}
