import {
  type DenseWeight,
  defineOptions,
  definePlugin,
  type KernelPackage,
  type Operations,
  option,
  sparsityOptions,
  toBf16,
} from "@winnow/core";
import { referenceKernels } from "@winnow/kernels-reference";
import { conformanceChecks } from "./checks.js";
import { sampleWindow } from "./sample-plugins.js";
import { changed, describeMutants, describeSound, type Mutant } from "./testing/mutants.js";

const share = sparsityOptions.sparsity.unwrap();
const orders = defineOptions({ rows: share, columns: share }).keyof();
const info = { description: "Changes nothing." };

const sound = definePlugin({
  id: "reference",
  kind: "kernel",
  summary: "The reference kernels.",
  source: { title: "A sample for tests" },
  options: defineOptions({
    order: option(orders.default("rows"), info),
    share: option(share.default(0.5), info),
  }),
  create: () => ({ ...referenceKernels }),
});

const common = conformanceChecks(sampleWindow)
  .map(({ id }) => id)
  .slice(0, 7);

const kernels = (change: (made: KernelPackage) => object) => changed(sound, change);

/** Kernels with some operations of their own. */
const operations = (change: (sound: Operations) => object) =>
  kernels(({ load }) => ({
    async load(options: Parameters<typeof load>[0]) {
      const instance = await load(options);
      return { ...instance, operations: { ...instance.operations, ...change(instance.operations as Operations) } };
    },
  }));

const wrongNorms = operations(({ columnNorms }) => ({
  columnNorms: (...args: Parameters<typeof columnNorms>) => columnNorms(...args).map((norm) => norm * norm),
}));

/** Kernels whose norms are wrong under some options. */
const wrongUnder = (isWrong: (options: Record<string, unknown>) => boolean): Mutant[2] => ({
  ...sound,
  create: (options, ...rest) => (isWrong(options) ? wrongNorms : sound).create(options, ...rest),
});

const mutants: Mutant[] = [
  [
    "package",
    "has another id than the plugin",
    kernels(() => ({ id: "other" })),
    /the id "reference", which the plan names; got "other"/,
  ],
  ["package", "has no kernels", kernels(() => ({ kernels: [] })), /a list of kernels/],
  [
    "package",
    "declares an unknown operation",
    kernels(() => ({ kernels: [{ operation: "magic", dtypes: ["f32"] }] })),
    /an operation of linear, .*; got "magic"/,
  ],
  [
    "package",
    "declares an unknown type",
    kernels(() => ({ kernels: [{ operation: "linear", dtypes: ["f16"] }] })),
    /f32 or bf16 as dtypes of linear; got f16/,
  ],
  [
    "available",
    "says yes or no only",
    kernels(() => ({ available: () => true })),
    /{ available: true } or { available: false, reason }; got true/,
  ],
  [
    "available",
    "does not say why not",
    kernels(() => ({ available: () => ({ available: false }) })),
    /a reason; got undefined/,
  ],
  [
    "methods",
    "lacks a method that it declares",
    operations(() => ({ topKRows: undefined })),
    /a method topKRows for primitives; got undefined/,
  ],
  [
    "operation-linear",
    "names no format of weights",
    kernels(() => ({ kernels: [{ operation: "linear", dtypes: ["f32"] }] })),
    /known formats of linear; got none/,
  ],
  [
    "operation-linear",
    "names a format that nobody knows among others",
    kernels(() => ({ kernels: [{ operation: "linear", dtypes: ["f32"], formats: ["dense", "diagonal"] }] })),
    /known formats of linear; got diagonal/,
  ],
  [
    "operation-linear",
    "rounds float32 weights to bf16",
    operations(({ packWeight }) => ({
      packWeight: (weight: DenseWeight) =>
        packWeight({ ...weight, dtype: "bf16", data: Uint16Array.from(weight.data, toBf16) }, "bf16"),
    })),
    /linear of weights in packed f32 to give/,
  ],
  [
    "operation-linear",
    "writes over out where it should add",
    operations(({ linear }) => ({
      linear: (...[x, rows, weight, out, , sparseRows]: Parameters<typeof linear>) =>
        linear(x, rows, weight, out, false, sparseRows),
    })),
    /linear of weights in .* to give/,
  ],
  [
    "operation-linear",
    "forgets the bias",
    operations(({ linear }) => ({
      linear: (...[x, rows, { bias: _, ...weight }, ...rest]: Parameters<typeof linear>) =>
        linear(x, rows, weight as typeof weight & Parameters<typeof linear>[2], ...rest),
    })),
    /linear of weights in .* to give .*; got/,
  ],
  [
    "operation-prefill-attention",
    "ignores masks",
    operations(({ prefillAttention }) => ({
      prefillAttention: (task: Parameters<typeof prefillAttention>[0]) =>
        prefillAttention({ ...task, masks: [{ form: "dense" }] }),
    })),
    /prefillAttention of 130 tokens, f32, mask diagonal only to give/,
  ],
  [
    "operation-decode-attention",
    "reads everything where there are lists",
    operations(({ decodeAttention }) => ({
      decodeAttention: ({ tokens: _, ...task }: Parameters<typeof decodeAttention>[0]) => decodeAttention(task),
    })),
    /decodeAttention of lists, f32 to give/,
  ],
  [
    "operation-packed-attention",
    "ignores the scale",
    operations(({ packedAttention }) => ({
      packedAttention: (task: Parameters<typeof packedAttention>[0]) => packedAttention({ ...task, scale: 1 }),
    })),
    /packedAttention of rows of 20, f32 to give/,
  ],
  [
    "operation-elementwise",
    "adds twice",
    operations(() => ({
      add: (x: Float32Array, y: Float32Array) =>
        x.forEach((_, e) => {
          x[e] += 2 * y[e];
        }),
    })),
    /add of 21 numbers to give/,
  ],
  [
    "operation-cache",
    "gathers one token too far",
    operations(({ gatherTokens }) => ({
      gatherTokens: (...[x, kept, ...rest]: Parameters<typeof gatherTokens>) =>
        gatherTokens(
          x,
          kept.map((token) => Math.min(token + 1, 6)),
          ...rest,
        ),
    })),
    /gatherTokens of a cache of f32, in place to (give|work)/,
  ],
  [
    "operation-primitives",
    "gives ties to the higher index",
    operations(({ topK }) => ({
      topK(values: Float32Array, k: number, start = 0, end = values.length) {
        return topK(values.slice(start, end).reverse(), k)
          .map((index) => end - start - 1 - index)
          .sort();
      },
    })),
    /topK of .* to give 0 at 0 .*; got 33/,
  ],
  [
    "operation-primitives",
    "reads bf16 keys as numbers",
    operations(({ scores }) => ({
      scores: (task: Parameters<typeof scores>[0], out: Float32Array) =>
        scores({ ...task, k: { ...task.k, dtype: "f32", data: Float32Array.from(task.k.data) } }, out),
    })),
    /scores of 37 keys in bf16 to give/,
  ],
  ["operation-linear-algebra", "forgets the root of norms", wrongNorms, /columnNorms of .* to give/],
  [
    "option-values",
    "computes something else under one value of an enum",
    wrongUnder(({ order }) => order === "columns"),
    /with order: "columns"; got the error "Expected columnNorms/,
  ],
  [
    "option-values",
    "computes something else at the low end of a range",
    wrongUnder(({ share }) => share === 0),
    /with share: 0;/,
  ],
  [
    "option-values",
    "computes something else at the high end of a range",
    wrongUnder(({ share }) => share === 1),
    /with share: 1;/,
  ],
];

describeSound(sound);
describeMutants("checks of kernels", sound, mutants, common);
