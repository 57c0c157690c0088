/** What the reference stores of pruned rows. */
export interface Tiles {
  /** 8 bytes per tile; the first element is the highest bit. */
  readonly bitmap: number[];
  /** Start of each tile in 32-bit words, per head, with the total last. */
  readonly starts: number[];
  /** Stored elements, each tile padded with zeros to a multiple of 8. */
  readonly values: number[];
  /** Start of each head in units of 8 values. */
  readonly offsets: number[];
}

/**
 * Rows `[heads, n, d]` with zeros in the reference's layout: tiles of 64 elements. A tile of keys is 64 tokens of one channel, a tile of values 64 channels of
 * one token; blocks of 64 tokens come first, then channels (keys), or blocks of channels and tokens (values).
 */
export function tilesOf(rows: ArrayLike<number>, heads: number, n: number, d: number, part: "k" | "v"): Tiles {
  const tiles: Tiles = { bitmap: [], starts: [], values: [], offsets: [] };
  for (let head = 0; head < heads; head++) {
    tiles.offsets.push(tiles.values.length / 8);
    const first = tiles.values.length;
    const element = (token: number, c: number) => rows[(head * n + token) * d + c];
    for (const places of part === "k" ? keyTiles(n, d) : valueTiles(n, d)) {
      tiles.starts.push((tiles.values.length - first) / 2);
      addTile(
        tiles,
        places.map(([token, c]) => element(token, c)),
      );
    }
    tiles.starts.push((tiles.values.length - first) / 2);
  }
  return tiles;
}

type Place = readonly [token: number, channel: number];

function keyTiles(n: number, d: number): Place[][] {
  return range(n / 64).flatMap((block) => range(d).map((c) => range(64).map((e): Place => [64 * block + e, c])));
}

function valueTiles(n: number, d: number): Place[][] {
  return range(n / 64).flatMap((block) =>
    range(d / 64).flatMap((channels) =>
      range(64).map((token) => range(64).map((e): Place => [64 * block + token, 64 * channels + e])),
    ),
  );
}

function addTile(tiles: Tiles, elements: readonly number[]): void {
  for (let byte = 0; byte < 8; byte++)
    tiles.bitmap.push(range(8).reduce((bits, e) => bits | (elements[8 * byte + e] !== 0 ? 128 >> e : 0), 0));
  tiles.values.push(...elements.filter((element) => element !== 0));
  while (tiles.values.length % 8 !== 0) tiles.values.push(0);
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
