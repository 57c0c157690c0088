import { isDeepStrictEqual } from "node:util";
import { requireThat } from "./check.js";
import { defaultKernels } from "./kernels.js";
import type { Maker } from "./make.js";
import { pictureDifference } from "./mask-picture.js";
import { planHeads, planPictures } from "./masker-run.js";
import { makePrompt, type Prompt } from "./prompts.js";

/** Pairs that may be chosen differently by kernels that round differently, where scores nearly tie. */
const NEAR_TIES = 0.01;

export function checkRepeats(maker: Maker, prompt: Prompt): undefined {
  const masker = maker.masker();
  const first = planPictures(masker, prompt);
  for (const [what, again] of [
    ["a second call of plan", masker],
    ["another object of create", maker.masker()],
  ] as const) {
    const difference = pictureDifference(planPictures(again, prompt), first, prompt.n);
    requireThat(difference === undefined, `the same masks from ${what}`, () => `another choice at ${difference}`);
  }
}

/** Two prompts through one object, layer by layer and in turn, must look as if each had an object of its own; masks stay what they are later. */
export function checkSeparateSequences(maker: Maker): undefined {
  const prompts = [140, 96].map((n) => makePrompt({ name: `a prompt of ${n} tokens`, n, seed: n }));
  const layers = [...Array(prompts[0].model.layers).keys()];
  const shared = maker.masker();
  const plans = layers.flatMap((layer) =>
    prompts.map((prompt) => {
      const masks = planHeads(shared, prompt, { layer });
      return { prompt, layer, masks, before: structuredClone(masks) };
    }),
  );
  for (const { prompt, layer, masks, before } of plans) {
    const place = `${prompt.name} in layer ${layer}`;
    const stayed = isDeepStrictEqual(masks, before);
    requireThat(stayed, `the masks of ${place} to stay as they were when plan is called again`, "others");
    const alone = planPictures(maker.masker(), prompt, { layer });
    const difference = pictureDifference(planPictures({ plan: () => masks }, prompt, { layer }), alone, prompt.n);
    requireThat(
      difference === undefined,
      `the masks of ${place} not to depend on other calls of plan`,
      () => `another choice at ${difference}`,
    );
  }
}

export async function checkKernels(maker: Maker): Promise<string> {
  const prompts = [200, 65].flatMap((n) =>
    (["f32", "bf16"] as const).map((dtype) => makePrompt({ name: `${n} tokens, keys ${dtype}`, n, seed: n, dtype })),
  );
  const variants = await (maker.subject.kernels ?? defaultKernels)();
  for (const prompt of prompts) {
    const plans = variants.map(({ operations }) => planPictures(maker.masker(), prompt, { primitives: operations }));
    for (const [index, variant] of variants.entries()) {
      const sibling = variants.findIndex(({ family }) => family === variant.family);
      requireSame(plans[index], plans[sibling], prompt, `${variant.name} as with ${variants[sibling].name}`);
      requireNear(plans[index], plans[0], prompt, `${variant.name} as with ${variants[0].name}`);
    }
  }
  return `kernels: ${variants.map(({ name }) => name).join("; ")}`;
}

function requireSame(actual: Uint8Array[], expected: Uint8Array[], prompt: Prompt, what: string): void {
  const difference = pictureDifference(actual, expected, prompt.n);
  requireThat(
    difference === undefined,
    `the same masks for ${prompt.name} with ${what}`,
    () => `another choice at ${difference}`,
  );
}

function requireNear(actual: Uint8Array[], expected: Uint8Array[], prompt: Prompt, what: string): void {
  const pairs = (actual.length * prompt.n * (prompt.n + 1)) / 2;
  const different = actual.reduce(
    (sum, picture, head) => sum + picture.reduce((count, bit, e) => count + Math.abs(bit - expected[head][e]), 0),
    0,
  );
  requireThat(
    different <= NEAR_TIES * pairs,
    `the same masks, but for near ties, for ${prompt.name} with ${what}`,
    () => `${different} of ${pairs} pairs that differ: ${pictureDifference(actual, expected, prompt.n)}`,
  );
}
