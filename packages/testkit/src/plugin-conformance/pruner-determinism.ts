import { requireThat } from "./check.js";
import { defaultKernels } from "./kernels.js";
import type { Maker } from "./make.js";
import { otherLayout } from "./prompts.js";
import { differingShare, eventDifference } from "./pruner-events.js";
import { SequenceRun } from "./sequence-run.js";
import { layersOf, runOf, type SequenceShape, usualSequence } from "./sequences.js";

/** Tokens that may be chosen differently by kernels that round differently, where scores nearly tie. */
const NEAR_TIES = 0.01;

export function checkClones(maker: Maker): undefined {
  requireSame(
    "the state goes through structuredClone",
    runOf(maker, usualSequence, { clones: true }),
    runOf(maker, usualSequence),
  );
}

export function checkLayout(maker: Maker): undefined {
  const run = runOf(maker, usualSequence, { layout: otherLayout });
  requireSame("q, k and v come as [n, h, d] behind an offset", run, runOf(maker, usualSequence));
}

export function checkRepeats(maker: Maker): undefined {
  const layers = layersOf(usualSequence);
  const pruner = maker.pruner();
  const runs = [0, 1].map(() => new SequenceRun(pruner, layers, usualSequence));
  requireSame("the sequence runs a second time", runs[1], runs[0]);
  requireSame("another object of create runs the sequence", runOf(maker, usualSequence), runOf(maker, usualSequence));
}

/** Two sequences of different lengths through one object, step by step in turn. */
export function checkSeparateSequences(maker: Maker): undefined {
  const shapes = [usualSequence, { promptTokens: 60, tokens: 90, seed: 2 }];
  const apart = shapes.map((shape) => runOf(maker, shape).finish());
  const shared = maker.pruner();
  const runs = shapes.map((shape) => new SequenceRun(shared, layersOf(shape), shape));
  for (const run of runs) run.prefill();
  for (let step = 0; step < 30; step++) for (const [s, run] of runs.entries()) run.step(shapes[s].promptTokens + step);
  for (const [s, run] of runs.entries()) {
    const difference = eventDifference(run.events, apart[s]);
    requireThat(
      difference === undefined,
      `two interleaved sequences to go as they go apart`,
      () => `another choice in ${difference}`,
    );
  }
}

export async function checkKernels(maker: Maker): Promise<string> {
  const variants = await (maker.subject.kernels ?? defaultKernels)();
  const shapes: SequenceShape[] = [usualSequence, { promptTokens: 65, tokens: 75, dtype: "bf16" }];
  for (const shape of shapes) {
    const events = variants.map(({ operations }) => runOf(maker, shape, { operations }).finish());
    for (const [index, { name, family }] of variants.entries()) {
      const sibling = variants.findIndex((variant) => variant.family === family);
      const difference = eventDifference(events[index], events[sibling]);
      requireThat(
        difference === undefined,
        `the same decisions with ${name} as with ${variants[sibling].name}`,
        () => `another choice in ${difference}`,
      );
      const share = differingShare(events[index], events[0]);
      requireThat(
        share <= NEAR_TIES,
        `the same decisions, but for near ties, with ${name} as with ${variants[0].name}`,
        () => `${(100 * share).toFixed(1)} % other tokens, first in ${eventDifference(events[index], events[0])}`,
      );
    }
  }
  return `kernels: ${variants.map(({ name }) => name).join("; ")}`;
}

function requireSame(when: string, actual: SequenceRun, expected: SequenceRun): void {
  const difference = eventDifference(actual.finish(), expected.finish());
  requireThat(difference === undefined, `the same decisions when ${when}`, () => `another choice in ${difference}`);
}
