import { freemem } from "node:os";
import { floatValues, type KernelInstance, type LinearWeight, type Operations } from "@winnow/core";
import { createInt4Baseline } from "@winnow/kernels-onnx";
import { loadKernelPackage } from "@winnow/runtime";
import { type Conditions, conditions } from "./conditions.js";
import { interleave, type Rounds, type Spread, spreadOf } from "./measure.js";
import { createMemoryRead } from "./memory-read.js";
import { randomWeight } from "./random-weight.js";
import { affordableWorkingSet, copiesFor, type WeightShape } from "./weight-budgets.js";
import { copyWeight, randomInput, type WeightCase, weightCases } from "./weight-cases.js";
import { INT4, type MeasuredWeight, type WeightsRow, weightsRows } from "./weights-summary.js";

export interface WeightsBenchOptions extends Rounds {
  readonly shapes: readonly WeightShape[];
  /** Numbers of threads inside an operation, each measured on its own. */
  readonly threads: readonly number[];
  /** Bytes that one round of each format reads at least, so that caches do not help; fewer where memory is short. */
  readonly workingSet: number;
  /** Kernel package that runs our formats. */
  readonly kernels: string;
}

export interface WeightsSection {
  readonly shape: WeightShape;
  readonly threads: number;
  readonly conditions: Conditions;
  readonly workingSet: number;
  readonly rows: readonly WeightsRow[];
}

export interface WeightsBench {
  readonly bench: "weights";
  readonly sections: readonly WeightsSection[];
}

/** Formats that are held at once: ours, int4 and the plain read, of which those with channels have twice what they read. */
const HELD = 13;

const PLAIN_READ = "plain read";

interface Copies extends Omit<WeightCase, "weight"> {
  readonly bytes: number;
  readonly weights: readonly LinearWeight[];
}

/**
 * Products of one token with a weight in every format, against our dense bf16, our dense int8 and ONNX Runtime's int4. A round goes through so many copies of
 * each weight that none comes from a cache; ratios are taken round by round. Blocks this thread while it runs.
 */
export async function benchWeights(options: WeightsBenchOptions): Promise<WeightsBench> {
  const total = options.shapes.length * options.threads.length;
  const sections: WeightsSection[] = [];
  const kernels = await loadKernelPackage(options.kernels);
  for (const shape of options.shapes) {
    const workingSet = affordableWorkingSet(options.workingSet, HELD, freemem());
    const x = randomInput(shape.inFeatures);
    let cases: Copies[] | undefined;
    for (const threads of options.threads) {
      const onProgress = (share: number, label: string) =>
        options.onProgress?.(
          (sections.length + share) / total,
          `${label}, ${shape.outFeatures}x${shape.inFeatures}, ${threads} threads`,
        );
      onProgress(0, "making weights");
      const instance = await kernels.load({ threads, isa: "auto" });
      try {
        cases ??= await copiesOf(shape, x, instance, workingSet);
        const measured = await measure(cases, { shape, x, threads, workingSet, instance }, { ...options, onProgress });
        const where = conditions({ threads, isa: instance.isa });
        sections.push({ shape, threads, conditions: where, workingSet, rows: weightsRows(measured) });
      } finally {
        await instance.close();
      }
    }
  }
  return { bench: "weights", sections };
}

async function copiesOf(
  shape: WeightShape,
  x: Float32Array,
  { operations }: KernelInstance,
  workingSet: number,
): Promise<Copies[]> {
  const out = new Float32Array(shape.outFeatures);
  const made: Copies[] = [];
  for (const { weight, ...rest } of weightCases(shape, x, operations as Operations)) {
    const bytes = await operations.linear!(x, 1, weight, out, false, 1);
    const count = copiesFor(bytes, workingSet);
    made.push({ ...rest, bytes, weights: Array.from({ length: count }, (_, c) => (c ? copyWeight(weight) : weight)) });
  }
  return made;
}

interface Product {
  readonly shape: WeightShape;
  readonly x: Float32Array;
  readonly threads: number;
  readonly workingSet: number;
  readonly instance: KernelInstance;
}

async function measure(cases: readonly Copies[], product: Product, rounds: Rounds): Promise<MeasuredWeight[]> {
  const { shape, x, threads, workingSet } = product;
  const linear = product.instance.operations.linear!;
  const out = new Float32Array(shape.outFeatures);
  const denseBytes = 2 * shape.outFeatures * shape.inFeatures;
  const reader = await createMemoryRead(copiesFor(denseBytes, workingSet) * denseBytes, threads);
  const int4 = await openInt4(shape, threads, workingSet);
  try {
    const ours = cases.map(({ name, weights }) => {
      const run = async () => {
        for (const weight of weights) await linear(x, 1, weight, out, false, 1);
      };
      return [name, run] as const;
    });
    const times = await interleave<string>(
      { [PLAIN_READ]: () => reader.read(), ...Object.fromEntries(ours), [INT4]: () => int4.run(x) },
      rounds,
    );
    return [
      { name: PLAIN_READ, bytes: denseBytes, milliseconds: each(times[PLAIN_READ], reader.bytes / denseBytes) },
      { name: INT4, bytes: int4.bytes, milliseconds: each(times[INT4], int4.copies) },
      ...cases.map(({ weights, ...rest }) => ({ ...rest, milliseconds: each(times[rest.name], weights.length) })),
    ];
  } finally {
    await int4.close();
    await reader.close();
  }
}

async function openInt4(shape: WeightShape, threads: number, workingSet: number) {
  const weight = floatValues(randomWeight(shape));
  const copies = copiesFor((weight.length * 5) / 8, workingSet);
  return { ...(await createInt4Baseline({ ...shape, weight, copies, threads })), copies };
}

/** Time of one product of a round that makes `count` of them. */
function each({ samples }: Spread, count: number): Spread {
  return spreadOf(samples.map((value) => value / count));
}
