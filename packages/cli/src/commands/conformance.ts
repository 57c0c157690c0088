import {
  findPluginReferences,
  type PluginDefinition,
  type PluginKind,
  type PluginReference,
  pluginKinds,
  WinnowError,
} from "@winnow/core";
import type { PluginRegistry } from "@winnow/runtime/registry";
import type { CheckResult } from "@winnow/testkit/conformance";
import type { ExitStatus } from "../context.js";
import { print, printJson, startProgress } from "../io.js";
import { table } from "../table.js";
import { parseAssignments } from "./assignments.js";
import { openRegistry } from "./open-registry.js";

export interface ConformanceCommandOptions {
  readonly json?: boolean;
  readonly option: readonly string[];
}

/** `winnow conformance PLUGIN`: the rules of its kind, tried one by one. Exit status 1 if it breaks one. */
export async function conformanceCommand(reference: string, given: ConformanceCommandOptions): Promise<ExitStatus> {
  const options = parseAssignments(given.option);
  const registry = openRegistry();
  const definition = await find(registry, reference, pluginKinds);
  checkOptions(definition, options);
  const plugins = await innerPlugins(registry, definition, options);
  const { conformanceChecks, defaultKernels, runChecks } = await loadTestkit(reference);
  const kernels = async () => defaultKernels(await import("@winnow/kernels-native"));
  const checks = conformanceChecks(definition, { options, plugins, kernels });
  const progress = startProgress("conformance");
  try {
    const results = await runChecks(checks, ({ title }, index) => {
      progress.update(index / checks.length, title);
    });
    progress.stop();
    const failed = results.filter(({ verdict }) => verdict === "fail").length;
    if (given.json) printJson({ plugin: definition.id, kind: definition.kind, options, failed, checks: results });
    else print(describe(definition, results, failed));
    return failed > 0 ? 1 : 0;
  } finally {
    progress.stop();
  }
}

async function find(
  registry: PluginRegistry,
  reference: string,
  kinds: readonly PluginKind[],
): Promise<PluginDefinition> {
  return registry.load((await registry.resolve(reference, kinds)).id);
}

/** A wrong argument is no verdict on the plugin. */
function checkOptions({ id, options: schema }: PluginDefinition, options: Record<string, unknown>): void {
  const [issue] = schema.safeParse(options).error?.issues ?? [];
  if (!issue) return;
  throw new WinnowError(
    "ERR_USAGE",
    `Cannot check "${id}" with these options: ${issue.path.join(".")}: ${issue.message}. Correct them: --option name=value.`,
  );
}

/** Plugins that stand in the options, however deep. The options then name them by id. */
async function innerPlugins(
  registry: PluginRegistry,
  { options: schema }: PluginDefinition,
  options: Record<string, unknown>,
): Promise<PluginDefinition[]> {
  const found: PluginDefinition[] = [];
  for (const { path, kinds } of findPluginReferences(schema, options)) {
    const at = path.reduce<unknown>((value, key) => (value as Record<string | number, unknown>)[key], options);
    const inner = at as { plugin: string; options?: PluginReference["options"] };
    const definition = await find(registry, inner.plugin, kinds);
    inner.plugin = definition.id;
    found.push(definition, ...(await innerPlugins(registry, definition, { ...inner.options })));
  }
  return found;
}

/** The checks come with the testkit, which running models does not need. */
async function loadTestkit(plugin: string): Promise<typeof import("@winnow/testkit/conformance")> {
  try {
    return await import("@winnow/testkit/conformance");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw cause;
    throw new WinnowError(
      "ERR_USAGE",
      `Cannot check "${plugin}": @winnow/testkit is not installed. Install it: npm install --save-dev @winnow/testkit.`,
      { cause },
    );
  }
}

function describe({ id, kind }: PluginDefinition, results: readonly CheckResult[], failed: number): string {
  const rows = results.map(({ id, title, clause, verdict, detail }) => [
    id,
    verdict,
    wrap(verdict === "fail" ? `${title} (${clause}). ${detail}` : [title, detail].filter(Boolean).join("; ")),
  ]);
  return [
    table(["check", "verdict", "detail"], rows),
    `${id} (${kind}): ${results.length - failed} of ${results.length} checks pass.`,
  ].join("\n");
}

function wrap(text: string): string {
  return text.replace(/(.{1,80})(\s+|$)/g, "$1\n").trimEnd();
}
