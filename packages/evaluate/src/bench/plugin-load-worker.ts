import { parentPort, workerData } from "node:worker_threads";
import { findPluginReferences, type ModelShape, type PluginDefinition } from "@winnow/core";
import { importPlugins } from "@winnow/runtime/registry/load";

export interface PluginLoadJob {
  readonly id: string;
  /** Of the plugin's module. */
  readonly url: string;
  readonly shape: ModelShape;
}

export interface PluginLoad {
  /** Of importing the module, checking it, parsing the default options and `create`. */
  readonly milliseconds: number;
  /** Why `create` was left out; absent: it was not. */
  readonly notCreated?: string;
}

const { id, url, shape } = workerData as PluginLoadJob;
const started = performance.now();
const definition = (await importPlugins(url)).find((candidate) => candidate.id === id);
if (!definition) throw new Error("its module exports no such plugin");
const options = definition.options.safeParse({}).data;
const loadMs = performance.now() - started;
const notCreated = reasonAgainst(definition, options);
parentPort!.postMessage(
  notCreated === undefined
    ? { milliseconds: loadMs + createMs(definition, options!) }
    : { milliseconds: loadMs, notCreated },
);

function reasonAgainst(
  { options: schema, check }: PluginDefinition,
  options: Record<string, unknown> | undefined,
): string | undefined {
  if (options === undefined) return "some options have no default";
  if (findPluginReferences(schema, options).length > 0) return "its options hold other plugins";
  return check?.(options, shape)[0]?.message;
}

function createMs({ create }: PluginDefinition, options: Record<string, unknown>): number {
  const before = performance.now();
  create(options, shape);
  return performance.now() - before;
}
