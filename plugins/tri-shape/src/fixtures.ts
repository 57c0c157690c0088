import {
  type FixtureRunner,
  fixtureTensor,
  keeps,
  type Mask,
  maskFixtureContext,
  maskFixtureOutputs,
} from "@winnow/core";
import { triShape } from "./tri-shape.js";

/** The shape of a recorded prompt: kept keys per row, attention over them, and for short prompts the whole mask. */
export const fixtures: FixtureRunner = {
  kinds: ["tri-shape"],
  run(fixture, operations) {
    const { n_init, n_local, n_last } = fixture.params as Record<"n_init" | "n_local" | "n_last", number>;
    const masker = triShape({ sinkTokens: n_init, recentTokens: n_local, denseLastTokens: n_last, startingLayer: 0 });
    const masks = masker.plan(maskFixtureContext(fixture, operations));
    return {
      ...maskFixtureOutputs(fixture, masks, operations),
      ...(fixture.tensors.has("out.mask") && {
        "out.mask": fullMask(masks[0], fixtureTensor(fixture, "in.q").shape[1]),
      }),
    };
  },
};

function fullMask(mask: Mask, n: number): Uint8Array {
  return Uint8Array.from({ length: n * n }, (_, cell) => Number(keeps(mask, Math.floor(cell / n), cell % n, n)));
}
