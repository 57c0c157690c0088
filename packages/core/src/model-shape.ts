/** What a plugin may know about the model: sizes, never weights. */
export interface ModelShape {
  readonly layers: number;
  readonly queryHeads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly contextLength: number;
}

/** KV head that query head `head` reads. */
export function kvHeadOf(head: number, shape: Pick<ModelShape, "queryHeads" | "kvHeads">): number {
  return Math.floor(head / (shape.queryHeads / shape.kvHeads));
}
