import type { LayerOperations, Operations } from "@winnow/core";
import { createDecoder, type Decoder, loadTokenizer, openModelFolder, type Tokenizer } from "@winnow/models";
import type { Plan } from "../../plan/plan.js";
import type { EngineContext } from "../messages.js";
import { loadPlanKernels, type PlanKernels } from "./kernels.js";
import { createPlanPlugins, type PlanPlugins } from "./plugins.js";

/** Rows of the residual stream that go through projections at once: large enough for the kernels, small enough to stay in cache and to cancel quickly. */
export const CHUNK_ROWS = 512;

/** What a worker keeps between tasks. A worker belongs to one engine, so there is one session per thread. */
export interface Session {
  readonly plan: Plan;
  readonly kernels: PlanKernels;
  readonly operations: LayerOperations;
  readonly decoder: Decoder;
  /** Softmax scale of attention. */
  readonly scale: number;
  readonly plugins: PlanPlugins;
  readonly tokenizer: Tokenizer;
}

let kernels: Promise<PlanKernels> | undefined;
let session: Promise<Session> | undefined;

export function kernelsOf(plan: Plan): Promise<PlanKernels> {
  kernels ??= loadPlanKernels(plan);
  return kernels;
}

export function sessionOf(context: EngineContext): Promise<Session> {
  session ??= openSession(context);
  return session;
}

async function openSession({ plan, model }: EngineContext): Promise<Session> {
  const planKernels = await kernelsOf(plan);
  const { operations } = planKernels;
  await planKernels.prepareWeights(model.weights);
  return {
    plan,
    kernels: planKernels,
    operations,
    decoder: createDecoder({ config: model.config, weights: model.weights, ops: operations, maxRows: CHUNK_ROWS }),
    scale: 1 / Math.sqrt(model.config.headDim),
    plugins: await createPlanPlugins(plan),
    tokenizer: loadTokenizer(openModelFolder(model.folder), model.config),
  };
}

/** Plugins get operations that never return promises: primitives, cache and decode attention are always synchronous. */
export function pluginOperations(operations: LayerOperations): Operations {
  return operations as unknown as Operations;
}
