import { defineOptions, type OptionsOf, option, type TuneContext, type Tuner, WinnowError } from "@winnow/core";
import { z } from "zod";
import { PAPER_PROMPT } from "./candidates.js";
import { formatHeadConfig, type HeadEntry } from "./head-config.js";
import type { OutputContext } from "./output-error.js";
import { type HeadSearch, searchByOutput, searchByRecall } from "./search.js";

const tunerOptions = defineOptions({
  objective: option(z.enum(["recall", "output"]).default("recall"), {
    description:
      "recall: highest share of the attention kept, as the reference's code searches; output: least error of the output at equal kernel cost, as the paper does.",
    source: "reference code search_pattern; paper Algorithm 1",
  }),
  firstRow: option(z.int().min(0).default(2500), {
    description: "First row whose recall counts; lower ones see few keys and favour every pattern.",
    unit: "tokens",
    source: "reference code: 2500",
  }),
  scaleCandidates: option(z.boolean().default(true), {
    description: `Scale sizes and firstRow by prompt length / ${PAPER_PROMPT} where the prompt is shorter; false keeps the published sizes, which cover short prompts whole.`,
    source: "not in the paper, whose prompt has 30000 tokens",
  }),
  tolerance: option(z.number().gt(0).lt(1).default(0.1), {
    description: "For output: by which share the cost of a pattern may differ from that of A-shape.",
    unit: "fraction",
    source: "epsilon of paper Algorithm 1, whose value is not given",
  }),
  modelName: option(
    z
      .string()
      .regex(/^[\w.-]{1,100}$/, "must be letters, digits, dots, dashes")
      .default("model"),
    {
      description: "Part of the file name minference.<modelName>.json.",
    },
  ),
});

type TunerOptions = OptionsOf<typeof tunerOptions>;

/**
 * Chooses the pattern of every head on one prompt, the longest given (the paper calibrates on one prompt of 30000 tokens).
 * Writes a head configuration of the reference's format. O(layers h n^2 d).
 */
export const tuner: Tuner = {
  options: tunerOptions,
  async run(context, given) {
    const options = tunerOptions.parse(given);
    const prompt = longestPrompt(context.prompts);
    const search = headSearch(options, prompt.length);
    const { layers, queryHeads } = context.model;
    const found: HeadSearch[][] = [];
    await context.prefill(prompt, (layer, inputs) => {
      const head = { ...context, ...inputs, primitives: context.operations };
      found[layer] = Array.from({ length: queryHeads }, (_, index) => search(head, index));
      context.progress((layer + 1) / layers, `searched layer ${layer + 1} of ${layers}`);
    });
    const name = `minference.${options.modelName}.json`;
    return {
      options: { headConfig: name, ...blockOption(found) },
      files: [{ name, text: formatHeadConfig(found.map((heads) => layerConfig(heads))) }],
      report: found.flatMap((heads, layer) => heads.map((head, index) => reportRow(layer, index, head, options))),
    };
  },
};

function longestPrompt(prompts: TuneContext["prompts"]): Int32Array {
  const prompt = prompts.toSorted((a, b) => b.length - a.length)[0];
  if (prompt?.length > 1) return prompt;
  throw new WinnowError(
    "ERR_PROMPT",
    `Cannot tune minference: a prompt of at least 2 tokens is needed, got ${prompt ? prompt.length : "none"}. Give a long one.`,
  );
}

function headSearch(
  { objective, firstRow, scaleCandidates, tolerance }: TunerOptions,
  n: number,
): (context: OutputContext, head: number) => HeadSearch {
  const scale = scaleCandidates ? Math.min(1, n / PAPER_PROMPT) : 1;
  if (objective === "output") return (context, head) => searchByOutput(context, head, scale, tolerance);
  const first = Math.floor(firstRow * scale);
  if (first >= n) {
    throw new WinnowError(
      "ERR_OPTION_RANGE",
      `Cannot tune minference: firstRow must be below the prompt length (${n}), got ${first}. Lower it, give a longer prompt, or set scaleCandidates: true.`,
    );
  }
  return (context, head) => searchByRecall(context, head, first, scale);
}

function layerConfig(heads: readonly HeadSearch[]): Record<string, HeadEntry> {
  return Object.fromEntries(heads.map(({ entry: [type, v, s, score] }, head) => [head, [type, v, s, rounded(score)]]));
}

/** Entries of the file cannot say how many blocks a block-sparse head keeps; the kernel cost is equal for all, so one option can. */
function blockOption(found: readonly (readonly HeadSearch[])[]): { keepBlocks?: number } {
  const entry = found.flat().find(({ entry: [type] }) => type === "block_sparse")?.entry;
  return entry ? { keepBlocks: entry[1] } : {};
}

function reportRow(
  layer: number,
  head: number,
  { candidates, winner, scores, entry }: HeadSearch,
  options: TunerOptions,
) {
  return {
    layer,
    head,
    winner: candidates[winner].type,
    stored: entry[0],
    v: entry[1],
    s: entry[2],
    [options.objective === "recall" ? "recall" : "outputError"]: rounded(scores[winner]),
    secondBest: rounded(secondBest(scores, winner, options.objective)),
  };
}

function secondBest(scores: readonly number[], winner: number, objective: TunerOptions["objective"]): number {
  const others = scores.filter((_, index) => index !== winner);
  if (others.length === 0) return scores[winner];
  return objective === "recall" ? Math.max(...others) : Math.min(...others);
}

/** Six significant digits: enough to compare heads, and a file that a person can read. */
function rounded(value = 0): number {
  return Number(value.toPrecision(6));
}
