import { WinnowError } from "@winnow/core";
import { Random } from "./random.js";

/** Ratio of each matrix. */
export type Genome = readonly number[];

export interface Individual {
  readonly genome: Genome;
  /** Lower is better. */
  readonly fitness: number;
}

export interface EvolutionOptions {
  /** Numbers in a genome. */
  readonly genes: number;
  readonly population: number;
  /** Rounds after the first population. */
  readonly generations: number;
  /** Probability that a gene of a new genome mutates. */
  readonly mutationShare: number;
  /** Standard deviation of a mutation. */
  readonly mutationSize: number;
  readonly seed: number;
}

type Mutation = Pick<EvolutionOptions, "mutationShare" | "mutationSize">;

/** The uniform ratios that the search starts from, so that its result is no worse than they are. */
export const uniformRatios = [1, 0.95] as const;

/**
 * Evolutionary search of ratios in [0, 1]. The first population: each of {@link uniformRatios}, then mutations of them by turns. In each generation the
 * better half stays; children of two of them, gene by gene from either, mutate and fill up the rest. Yields genomes, takes the fitness of each, and returns
 * the population of each generation, best first. Asks for population + generations * floor(population / 2) fitnesses.
 */
export function* evolve(options: EvolutionOptions): Generator<Genome, Individual[][], number> {
  const random = new Random(options.seed);
  let population = yield* measured(firstGenomes(options, random));
  const history = [population];
  for (let generation = 0; generation < options.generations; generation++) {
    const parents = population.slice(0, Math.ceil(options.population / 2));
    const children = Array.from({ length: options.population - parents.length }, () => child(parents, options, random));
    // Parents first: of two as good the older one stays.
    population = sorted([...parents, ...(yield* measured(children))]);
    history.push(population);
  }
  return history;
}

function firstGenomes({ genes, population, ...mutation }: EvolutionOptions, random: Random): Genome[] {
  return Array.from({ length: population }, (_, index) => {
    const ratio = uniformRatios[index % uniformRatios.length];
    const uniform = new Array<number>(genes).fill(ratio);
    return index < uniformRatios.length ? uniform : mutated(uniform, mutation, random);
  });
}

function child(parents: readonly Individual[], mutation: Mutation, random: Random): Genome {
  const first = random.index(parents.length);
  const second = parents.length === 1 ? first : (first + 1 + random.index(parents.length - 1)) % parents.length;
  const crossed = parents[first].genome.map((gene, g) => (random.uniform() < 0.5 ? gene : parents[second].genome[g]));
  return mutated(crossed, mutation, random);
}

/** Four decimals, so that the table holds exactly what was measured. */
function mutated(genome: Genome, { mutationShare, mutationSize }: Mutation, random: Random): Genome {
  return genome.map((gene) => {
    if (random.uniform() >= mutationShare) return gene;
    const value = Math.min(1, Math.max(0, gene + mutationSize * random.normal()));
    return Math.round(value * 1e4) / 1e4;
  });
}

function* measured(genomes: readonly Genome[]): Generator<Genome, Individual[], number> {
  const individuals: Individual[] = [];
  for (const genome of genomes) {
    const fitness = yield genome;
    if (Number.isNaN(fitness))
      throw new WinnowError(
        "ERR_NON_FINITE",
        "Cannot tune r-sparse: perplexity must be a number, got NaN. Check the model's weights.",
      );
    individuals.push({ genome, fitness });
  }
  return sorted(individuals);
}

function sorted(individuals: readonly Individual[]): Individual[] {
  return individuals.toSorted((a, b) => (a.fitness < b.fitness ? -1 : a.fitness > b.fitness ? 1 : 0));
}
