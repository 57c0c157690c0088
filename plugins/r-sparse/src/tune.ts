import {
  defineOptions,
  type OptionsOf,
  option,
  projections,
  type TuneContext,
  type TuneResult,
  type Tuner,
  WinnowError,
} from "@winnow/core";
import { z } from "zod";
import { candidate, type PreparedMatrix, prepareLayer } from "./candidate.js";
import { evolve, type Genome, type Individual, uniformRatios } from "./evolution.js";
import { options as pluginOptions } from "./options.js";
import { formatTable } from "./table.js";

const tunerOptions = defineOptions({
  sparsity: pluginOptions.shape.sparsity,
  population: option(z.int().min(2).max(1000).default(12), {
    description: "Candidates that are kept at a time; more is slower and explores more.",
  }),
  generations: option(z.int().min(0).max(1000).default(10), {
    description: "Rounds after the first population; more is slower. Half of the population is measured anew in each.",
  }),
  mutationShare: option(z.number().min(0).max(1).default(0.05), {
    description: "Probability that a matrix's ratio changes at random in a new candidate.",
    unit: "fraction",
  }),
  mutationSize: option(z.number().gt(0).max(1).default(0.3), {
    description: "Standard deviation of such a change; changes beyond 0 or 1 end there.",
  }),
  seed: option(z.int().min(0).max(0xffffffff).default(0), {
    description: "The same seed gives the same search.",
  }),
  sparseShare: option(z.number().gt(0).max(1).default(0.5), {
    description:
      "Share of each prompt's tokens, the last ones, that are sparse while perplexity is measured; more makes differences clearer and is further from decoding.",
    unit: "fraction",
    symbol: "prefill_ratio",
    source: "reference code VITA-Group/R-Sparse@59e9a8e evaluates with 0.1",
  }),
  sampledTokens: option(z.int().min(1).default(1024), {
    description: "Tokens, evenly spread over the prompts, whose inputs set the thresholds.",
    unit: "tokens",
  }),
});

type TunerOptions = OptionsOf<typeof tunerOptions>;

/**
 * Evolutionary search of one ratio for each matrix (paper Algorithm 1) at equal sparsity; fitness is the perplexity of the prompts with the masks and
 * factors of run time. Decomposes every matrix once, then costs population + generations * floor(population / 2) perplexities.
 */
export const tuner: Tuner = {
  options: tunerOptions,
  async run(context, given) {
    const options = tunerOptions.parse(given);
    requirePrompts(context, options);
    const layers = await prepare(context, options);
    const { weights } = context;
    const fitness = (genome: Genome) =>
      weights.perplexity(candidate(layers, genome, options.sparsity), options.sparseShare);
    const dense = await weights.perplexity(new Map(), 0);
    const history = await search(context, options, fitness);
    return resultOf(history, dense, options);
  },
};

function requirePrompts({ prompts }: TuneContext, { sparseShare }: TunerOptions): void {
  const shortest = Math.min(...prompts.map((prompt) => prompt.length));
  const needed = Math.max(2, Math.ceil(1 / sparseShare));
  if (prompts.length > 0 && shortest >= needed) return;
  throw new WinnowError(
    "ERR_PLAN_CONFLICT",
    `Cannot tune r-sparse: every prompt must have at least ${needed} tokens, so that some are sparse and have a next one, got ` +
      `${prompts.length === 0 ? "no prompt" : shortest}.`,
  );
}

/** Share of the work that preparation is taken for. */
const PREPARATION = 0.2;

async function prepare(context: TuneContext, { sparsity, sampledTokens }: TunerOptions): Promise<PreparedMatrix[][]> {
  const tokens = context.prompts.reduce((sum, prompt) => sum + prompt.length, 0);
  const { layers } = context.model;
  const prepared: PreparedMatrix[][] = [];
  for (let layer = 0; layer < layers; layer++) {
    context.progress((PREPARATION * layer) / layers, `decomposing layer ${layer + 1} of ${layers}`);
    prepared.push(await prepareLayer(context, layer, sparsity, Math.ceil(tokens / sampledTokens)));
  }
  return prepared;
}

async function search(
  { model, progress }: TuneContext,
  options: TunerOptions,
  fitness: (genome: Genome) => Promise<number>,
): Promise<Individual[][]> {
  const { population, generations } = options;
  const total = population + generations * Math.floor(population / 2);
  const evolution = evolve({ ...options, genes: model.layers * projections.length });
  let next = evolution.next();
  for (let done = 0; !next.done; done++) {
    progress(PREPARATION + ((1 - PREPARATION) * done) / total, `candidate ${done + 1} of ${total}`);
    next = evolution.next(await fitness(next.value));
  }
  return next.value;
}

function resultOf(history: readonly Individual[][], dense: number, { sparsity }: TunerOptions): TuneResult {
  const name = "r-sparse.txt";
  const best = history.at(-1)![0];
  const uniform = uniformRatios.map((ratio) => {
    const { fitness } = history[0].find(({ genome }) => genome.every((gene) => gene === ratio))!;
    return { step: `uniform ratio ${ratio}`, perplexity: rounded(fitness), meanRatio: ratio };
  });
  return {
    options: { table: name },
    files: [{ name, text: formatTable(best.genome.map((ratio) => ({ ratio, sparsity }))) }],
    report: [
      { step: "dense", perplexity: rounded(dense), meanRatio: "" },
      ...uniform,
      ...history.map(([{ genome, fitness }], generation) => ({
        step: `best of generation ${generation}`,
        perplexity: rounded(fitness),
        meanRatio: rounded(genome.reduce((sum, ratio) => sum + ratio, 0) / genome.length),
      })),
    ],
  };
}

function rounded(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}
