import { type FixtureRunner, maskFixtureContext, maskFixtureOutputs } from "@winnow/core";
import { aShape } from "./a-shape.js";

/** The band of a recorded prompt: kept keys per row, attention over them, and for short prompts the whole mask. */
export const fixtures: FixtureRunner = {
  kinds: ["a-shape"],
  run(fixture, operations) {
    const { n_init, n_local } = fixture.params as { n_init: number; n_local: number };
    const masker = aShape({ sinkTokens: n_init, recentTokens: n_local });
    const masks = masker.plan(maskFixtureContext(fixture, operations));
    return maskFixtureOutputs(fixture, masks, operations);
  },
};
