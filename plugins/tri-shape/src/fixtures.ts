import { type FixtureRunner, maskFixtureContext, maskFixtureOutputs } from "@winnow/core";
import { triShape } from "./tri-shape.js";

/** The shape of a recorded prompt: kept keys per row, attention over them, and for short prompts the whole mask. */
export const fixtures: FixtureRunner = {
  kinds: ["tri-shape"],
  run(fixture, operations) {
    const { n_init, n_local, n_last } = fixture.params as Record<"n_init" | "n_local" | "n_last", number>;
    const masker = triShape({ sinkTokens: n_init, recentTokens: n_local, denseLastTokens: n_last, startingLayer: 0 });
    const masks = masker.plan(maskFixtureContext(fixture, operations));
    return maskFixtureOutputs(fixture, masks, operations);
  },
};
