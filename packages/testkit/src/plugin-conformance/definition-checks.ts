import { definePlugin, listOptions, type OptionProblem } from "@winnow/core";
import { attempt, type ConformanceCheck, errorOf, messageOf, requireThat } from "./check.js";
import { issueOf, type Maker } from "./make.js";
import { smallModel } from "./subject.js";

/** Rules for plugins of every kind. */
export function definitionChecks(maker: Maker): ConformanceCheck[] {
  return [
    {
      id: "definition",
      title: "the definition is one that definePlugin accepts, with a summary and a source",
      clause: "plugin.ts: PluginDefinition",
      run: async () => checkDefinition(maker),
    },
    {
      id: "options-documented",
      title: "every option has a description",
      clause: "options.ts: OptionInfo.description",
      run: async () => checkDescriptions(maker),
    },
    {
      id: "options-defaults",
      title: "options may be left out: the defaults fit the schema",
      clause: "plugin.ts: PluginDefinition.options",
      run: async () => checkDefaults(maker),
    },
    {
      id: "options-unknown",
      title: "an unknown option is refused",
      clause: "options.ts: defineOptions",
      run: async () => checkUnknown(maker),
    },
    {
      id: "options-check",
      title: "check returns a list of problems, and none for the options that are tried",
      clause: "plugin.ts: PluginDefinition.check",
      run: async () => checkProblems(maker),
    },
    {
      id: "create-defaults",
      title: "create makes the method from the defaults",
      clause: "plugin.ts: PluginDefinition.create",
      run: async () => checkCreate(maker),
    },
    {
      id: "create-separate",
      title: "create makes a new object each time and leaves the options as they are",
      clause: "plugin.ts: PluginDefinition.create",
      run: async () => checkSeparate(maker),
    },
  ];
}

function checkDefinition({ definition }: Maker): undefined {
  attempt("a definition that definePlugin accepts", () => definePlugin(definition));
  requireThat(!!definition.summary?.trim(), "a summary of one sentence", JSON.stringify(definition.summary));
  requireThat(!!definition.source?.title?.trim(), "source.title to name where the method comes from", "nothing");
}

function checkDescriptions({ definition }: Maker): undefined {
  const entries = attempt("a description of every option", () => listOptions(definition.options));
  for (const { name, description } of entries)
    requireThat(!!description.trim(), `a description of option "${name}"`, JSON.stringify(description));
}

function defaultsOf(maker: Maker): Record<string, unknown> {
  const required = maker.required();
  const parsed = maker.definition.options.safeParse(required);
  const given = Object.keys(required).join(", ") || "no options";
  requireThat(
    parsed.success,
    `the schema to accept ${given}, every other option having a default`,
    () => `"${issueOf(parsed.error)}"`,
  );
  return parsed.data;
}

function checkDefaults(maker: Maker): undefined {
  const defaults = defaultsOf(maker);
  const again = maker.definition.options.safeParse(defaults);
  requireThat(again.success, "the defaults to fit their own schema", () => `"${issueOf(again.error)}"`);
}

function checkUnknown(maker: Maker): undefined {
  const key = "noSuchOption";
  const { success } = maker.definition.options.safeParse({ ...maker.required(), [key]: 1 });
  requireThat(!success, `option "${key}" to be refused (declare options with defineOptions)`, "it accepted");
}

function checkProblems(maker: Maker): string | undefined {
  const problems = problemsOf(maker, maker.options());
  requireThat(problems.length === 0, "no problem with the options that are tried", () => problems[0].message);
  const [first] = problemsOf(maker, defaultsOf(maker));
  return first && `the defaults do not fit a small model: ${first.message}`;
}

function problemsOf({ definition }: Maker, options: Record<string, unknown>): readonly OptionProblem[] {
  if (!definition.check) return [];
  const problems = attempt("check to return problems", () => definition.check!(options, smallModel));
  const valid =
    Array.isArray(problems) && problems.every((p) => Array.isArray(p.path) && typeof p.message === "string");
  requireThat(valid, "check to return a list of { path, message }", JSON.stringify(problems));
  return problems;
}

function checkCreate(maker: Maker): string | undefined {
  const defaults = defaultsOf(maker);
  const [problem] = problemsOf(maker, defaults);
  if (problem) return `not tried: ${problem.message}`;
  const made = maker.create(defaults);
  requireThat(typeof made === "object" && made !== null, "create to return an object", String(made));
}

function checkSeparate(maker: Maker): undefined {
  const options = freeze(maker.options());
  const error = errorOf(() => maker.create(options));
  requireThat(!error, "create to leave its options as they are", () => `"${messageOf(error)}"`);
  const [first, second] = [maker.create(options), maker.create(options)];
  requireThat(first !== second, "a new object from each call of create", "the same one twice");
}

function freeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  for (const part of Object.values(value)) freeze(part);
  return Object.freeze(value);
}
