import { ratioOf, type Spread } from "./measure.js";
import { type DenseType, denseNames, type SpeedTarget } from "./weight-cases.js";

/** Times of one format in the rounds that it shares with the others. */
export interface MeasuredWeight {
  readonly name: string;
  /** Absent for what has no dense counterpart here. */
  readonly over?: DenseType;
  readonly target?: SpeedTarget;
  /** That one product reads, as the kernel counted them. */
  readonly bytes: number;
  /** Of one product. */
  readonly milliseconds: Spread;
}

export interface WeightsRow {
  readonly name: string;
  readonly bytes: number;
  readonly milliseconds: Spread;
  /** Bytes read over the median time, in 10^9 bytes a second. */
  readonly gigabytesPerSecond: number;
  /** Against the dense weight of the same type; absent for the baselines themselves. */
  readonly dense?: {
    /** Bytes of dense / bytes of this. */
    readonly byteRatio: number;
    /** Time of dense / time of this, round by round. */
    readonly speedup: Spread;
    /** Median speed-up / byte ratio. */
    readonly reached: number;
  };
  /** Time of int4 / time of this, round by round; absent for int4 itself and for the plain read. */
  readonly overInt4?: Spread;
  readonly target?: SpeedTarget & { readonly reached: number; readonly met: boolean };
}

export const INT4 = "onnx int4";

/** Ratios of measured formats to the three dense ones among them. */
export function weightsRows(measured: readonly MeasuredWeight[]): WeightsRow[] {
  const find = (name: string) => measured.find((candidate) => candidate.name === name)!;
  const int4 = find(INT4).milliseconds;
  return measured.map(({ name, over, target, bytes, milliseconds }) => {
    const dense = over && name !== denseNames[over] ? against(find(denseNames[over]), bytes, milliseconds) : undefined;
    const reached = dense && target && (target.of === "byte ratio" ? dense.reached : dense.speedup.median);
    return {
      name,
      bytes,
      milliseconds,
      gigabytesPerSecond: bytes / milliseconds.median / 1e6,
      ...(dense && { dense }),
      ...(over && { overInt4: ratioOf(int4, milliseconds) }),
      ...(target && reached !== undefined && { target: { ...target, reached, met: reached >= target.atLeast } }),
    };
  });
}

function against(dense: MeasuredWeight, bytes: number, milliseconds: Spread): NonNullable<WeightsRow["dense"]> {
  const byteRatio = dense.bytes / bytes;
  const speedup = ratioOf(dense.milliseconds, milliseconds);
  return { byteRatio, speedup, reached: speedup.median / byteRatio };
}
