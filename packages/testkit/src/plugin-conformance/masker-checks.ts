import type { ConformanceCheck } from "./check.js";
import type { Maker } from "./make.js";
import { checkKernels, checkRepeats, checkSeparateSequences } from "./masker-determinism.js";
import {
  checkBf16,
  checkCausal,
  checkDensity,
  checkHeadRange,
  checkInputsUnchanged,
  checkLayout,
  checkNaN,
  checkOracle,
  checkRows,
  checkValid,
  measureRecall,
} from "./masker-rules.js";
import { makePrompt, type Prompt, type PromptSettings } from "./prompts.js";

/** Prompts that a plan must cope with: id of the check, what the sentence says, the prompt. */
const edges: readonly (readonly [id: string, title: string, prompt: PromptSettings])[] = [
  ["one-token", "a prompt of one token gets masks", { name: "a prompt of 1 token", n: 1 }],
  ["short-prompt", "a prompt shorter than a block gets masks", { name: "a prompt of 7 tokens", n: 7 }],
  [
    "ragged-prompt",
    "a prompt whose length is no multiple of a block gets masks",
    { name: "a prompt of 131 tokens", n: 131 },
  ],
  ["grouped-heads", "query heads may share KV heads", { name: "6 query heads over 2 KV heads", n: 130, queryHeads: 6 }],
  ["equal-scores", "queries and keys may all be equal", { name: "equal queries and keys", n: 128, flat: true }],
  ["huge-values", "queries and keys may be huge", { name: "values of about 1e4", n: 130, magnitude: 1e4 }],
  ["tiny-values", "queries and keys may be tiny", { name: "values of about 1e-30", n: 130, magnitude: 1e-30 }],
];

/** The prompt of most checks: not a multiple of common blocks, several query blocks long. */
export const usualPrompt: PromptSettings = { name: "a prompt of 200 tokens", n: 200 };

/** Rules for what chooses query-key pairs. */
export function maskerChecks(maker: Maker): ConformanceCheck[] {
  const usual = () => makePrompt(usualPrompt);
  const masker =
    (run: (maker: Maker, prompt: Prompt) => string | undefined, prompt = usual) =>
    async () =>
      run(maker, prompt());
  const plan = "masker.ts: Masker.plan";
  const checks: ConformanceCheck[] = [
    {
      id: "masks-valid",
      title: "plan returns well-formed masks, one per head or one for all",
      clause: plan,
      run: masker(checkValid),
    },
    { id: "causal", title: "no mask names a key after its query", clause: "mask.ts: Mask", run: masker(checkCausal) },
    {
      id: "rows-not-empty",
      title: "every row keeps a key",
      clause: "mask-validate.ts: validateMask",
      run: masker(checkRows),
    },
    ...edges.map(([id, title, settings]) => ({
      id,
      title,
      clause: plan,
      run: masker(checkValid, () => makePrompt(settings)),
    })),
    {
      id: "nan-refused",
      title: "NaN is an error, not a silent choice",
      clause: "errors.ts: ERR_NON_FINITE",
      run: masker(checkNaN),
    },
    {
      id: "inputs-unchanged",
      title: "plan leaves q and k as they are",
      clause: "masker.ts: MaskerContext",
      run: masker(checkInputsUnchanged),
    },
    {
      id: "bf16-keys",
      title: "keys in bf16 get the masks of the same keys in f32",
      clause: "masker.ts: MaskerContext.k",
      run: masker(checkBf16),
    },
    {
      id: "strides",
      title: "q and k are read through their offset and strides",
      clause: "tensor.ts: HeadTensor",
      run: masker(checkLayout),
    },
    {
      id: "head-range",
      title: "a part of the heads gets the masks that it has in the whole",
      clause: "masker.ts: MaskerContext.heads",
      run: masker(checkHeadRange),
    },
    {
      id: "repeats",
      title: "the same prompt gets the same masks each time",
      clause: "masker.ts: Masker",
      run: masker(checkRepeats),
    },
    {
      id: "separate-sequences",
      title: "interleaved prompts get the masks that they get apart",
      clause: "masker.ts: Masker",
      run: async () => checkSeparateSequences(maker),
    },
    {
      id: "kernels-agree",
      title: "masks do not depend on kernels, threads or instruction set",
      clause: "operations.ts: Operations",
      run: () => checkKernels(maker),
    },
    {
      id: "density",
      title: "the statistics of a mask count the pairs that it keeps",
      clause: "mask-statistics.ts: maskStatistics",
      run: masker(checkDensity),
    },
    {
      id: "recall",
      title: "attention that the masks keep can be measured (information)",
      clause: plan,
      run: masker(measureRecall),
    },
  ];
  if (!maker.subject.oracle) return checks;
  const oracle = {
    id: "oracle",
    title: "masks equal those of the oracle",
    clause: plan,
    run: async () => checkOracle(maker),
  };
  return [...checks, oracle];
}
