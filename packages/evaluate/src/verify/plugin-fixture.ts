import {
  type Comparison,
  type Fixture,
  type FixtureRunner,
  type FixtureTensor,
  type Operations,
  WinnowError,
} from "@winnow/core";
import { loadSafetensors } from "@winnow/models";
import { z } from "zod";
import { reportComparisons } from "./comparison-list.js";
import type { FixtureReport } from "./verdict.js";

/** The runner of a method, or undefined if no installed plugin has one. */
export type RunnerOf = (method: string) => Promise<FixtureRunner | undefined>;

const numbers = z.object({ atol: z.number().min(0), rtol: z.number().min(0) });
const comparisonSchema = z.discriminatedUnion("mode", [
  z.object({ mode: z.literal("exact") }),
  numbers.extend({ mode: z.literal("close") }),
  numbers.extend({ mode: z.literal("mostly"), share: z.number().min(0).max(1) }),
]);
const metadataSchema = z.object({
  method: z.string().min(1),
  case: z.string().min(1),
  kind: z.string().min(1),
  params: jsonText(z.record(z.string(), z.unknown())),
  compare: jsonText(z.record(z.string(), comparisonSchema)),
});

function jsonText<T extends z.ZodType>(schema: T) {
  return z
    .string()
    .transform((text, context) => {
      try {
        return JSON.parse(text) as unknown;
      } catch {
        context.addIssue({ code: "custom", message: "is not JSON" });
        return z.NEVER;
      }
    })
    .pipe(schema);
}

/** Whether a file's metadata marks a method's fixture. */
export function isPluginFixture(metadata: Readonly<Record<string, string>>): boolean {
  return "method" in metadata && "kind" in metadata;
}

/** Re-computes one recorded case through its plugin and compares every tensor that has a rule. Parameters come from the file's own metadata. */
export async function verifyPluginFixture(
  name: string,
  path: string,
  runnerOf: RunnerOf,
  operations: Operations,
): Promise<FixtureReport> {
  const { fixture, compare } = readPluginFixture(path);
  const runner = await runnerOf(fixture.method);
  if (!runner)
    return { fixture: name, verdict: "not run", compared: `no installed plugin "${fixture.method}"`, worst: null };
  if (!runner.kinds.includes(fixture.kind)) {
    const detail = `plugin "${fixture.method}" knows ${runner.kinds.join(", ")}, not kind "${fixture.kind}"`;
    return { fixture: name, verdict: "error", compared: detail, worst: null };
  }
  const outputs = runner.run(fixture, operations);
  const list = Object.entries(compare).map(([tensor, rule]) => {
    const expected = fixture.tensors.get(tensor);
    if (!expected)
      throw new WinnowError("ERR_FIXTURE", `"${path}" has a rule for tensor "${tensor}" but no such tensor.`);
    return { name: tensor, actual: outputs[tensor], expected: expected.data, rule };
  });
  return reportComparisons(name, list);
}

function readPluginFixture(path: string): { fixture: Fixture; compare: Record<string, Comparison> } {
  const { metadata, tensors } = loadSafetensors(path);
  const parsed = metadataSchema.safeParse(metadata);
  if (!parsed.success) {
    const { path: key, message } = parsed.error.issues[0];
    throw new WinnowError("ERR_FIXTURE", `Cannot run "${path}": metadata ${key.join(".")}: ${message}.`);
  }
  const { method, case: caseName, kind, params, compare } = parsed.data;
  const plain = new Map<string, FixtureTensor>();
  for (const [name, { shape, data }] of tensors) {
    if (!(data instanceof Float32Array || data instanceof Int32Array || data instanceof Uint8Array)) {
      throw new WinnowError("ERR_FIXTURE", `Cannot run "${path}": tensor "${name}" must be F32, I32 or U8.`);
    }
    plain.set(name, { shape, data });
  }
  return { fixture: { method, name: caseName, kind, params, tensors: plain }, compare };
}
