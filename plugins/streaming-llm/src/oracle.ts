/** q `[n][h][d]`, k and v `[n][hKv][d]`, before RoPE. */
export interface OracleStream {
  readonly q: number[][][];
  readonly k: number[][][];
  readonly v: number[][][];
}

/**
 * The stream as the paper tells it, in float64: keys are cached without RoPE and rotated anew in each step with their place in the cache.
 * The first `block` tokens come as one causal block, then one token at a time; the cache is cut after each call.
 * Returns outputs `[n][h][d]` and the text positions in the cache after each call.
 */
export function oracleStream(stream: OracleStream, sinks: number, recent: number, block: number) {
  const length = stream.q.length;
  const outputs: number[][][] = [];
  const kept: number[][] = [];
  let cache: number[] = [];
  for (let start = 0; start < length; start = start === 0 ? block : start + 1) {
    const end = start === 0 ? block : start + 1;
    for (let token = start; token < end; token++) {
      cache.push(token);
      outputs.push(stream.q[token].map((query, head) => attend(stream, query, head, cache)));
    }
    if (cache.length > sinks + recent)
      cache = cache.filter((_, place) => place < sinks || place >= cache.length - recent);
    kept.push([...cache]);
  }
  return { outputs, kept };
}

function attend({ q, k, v }: OracleStream, query: number[], head: number, cache: number[]): number[] {
  const kvHead = Math.floor((head * k[0].length) / q[0].length);
  const rotated = rotate(query, cache.length - 1);
  const weights = cache.map((token, place) => {
    const key = rotate(k[token][kvHead], place);
    return Math.exp(key.reduce((sum, x, c) => sum + x * rotated[c], 0) / Math.sqrt(query.length));
  });
  const total = weights.reduce((a, b) => a + b, 0);
  return query.map((_, c) =>
    cache.reduce((sum, token, place) => sum + (weights[place] / total) * v[token][kvHead][c], 0),
  );
}

/** RoPE, half-split, base 10000. */
function rotate(x: number[], position: number): number[] {
  const half = x.length / 2;
  return x.map((value, c) => {
    const angle = position / 10000 ** ((c % half) / half);
    return c < half
      ? value * Math.cos(angle) - x[c + half] * Math.sin(angle)
      : value * Math.cos(angle) + x[c - half] * Math.sin(angle);
  });
}
