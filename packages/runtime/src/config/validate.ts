import { type ErrorCode, WinnowError } from "@winnow/core";
import type { z } from "zod";
import { enterCall, leaveCall } from "../registry/plugin-calls.js";
import { expectedOf } from "./expected.js";
import { given, shorten } from "./given.js";
import { didYouMean } from "./nearest.js";
import { type ConfigPath, formatPath, valueAt } from "./path.js";
import type { Place } from "./place.js";
import { errorOf, type Problem, problemAt } from "./problem.js";
import { allowedKeys, schemaAt } from "./schema-walk.js";

type Issue = z.core.$ZodIssue;

/** Where the value stands that is checked. */
export interface CheckedAt {
  readonly root: Place;
  /** From the root of the configuration to the value. */
  readonly path: ConfigPath;
  /** Id of the plugin whose options are checked, for messages. */
  readonly plugin?: string;
}

/** Checks a value and fills in defaults. Throws one `ERR_OPTION_*` or `ERR_PLAN_CONFLICT` that lists everything that is wrong. */
export function validate<Schema extends z.ZodType>(schema: Schema, value: unknown, at: CheckedAt): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw errorOf(withoutConsequences(result.error.issues).flatMap((issue) => problemsOf(issue, schema, value, at)));
}

/** Without refinements of a section that has an unknown key: what they miss is mostly that key, misspelled. */
function withoutConsequences(issues: readonly Issue[]): Issue[] {
  const misspelled = new Set(
    issues.filter(({ code }) => code === "unrecognized_keys").map(({ path }) => path.join("\0")),
  );
  return issues.filter(({ code, path }) => code !== "custom" || !misspelled.has(path.join("\0")));
}

function problemsOf(issue: Issue, schema: z.ZodType, root: unknown, at: CheckedAt): Problem[] {
  const path = issue.path as ConfigPath;
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey(path, key, schema, at));
  const value = valueAt(root, path);
  // A whole section is best found by its name; its value starts at the first key inside.
  const isAboutSection = issue.code === "custom" && typeof value === "object";
  const part = isRefusedKey(issue) || isAboutSection ? "key" : "value";
  return [problem(path, { code: codeOf(issue, value), text: textOf(issue, value, schemaAt(schema, path)), part }, at)];
}

function unknownKey(section: ConfigPath, key: string, schema: z.ZodType, at: CheckedAt): Problem {
  const allowed = allowedKeys(schemaAt(schema, section));
  const help = `${didYouMean(key, allowed)}${allowed.length > 0 ? `Allowed: ${allowed.join(", ")}` : "None is allowed"}`;
  const text = `${at.plugin === undefined ? "there is no such key" : "is not an option"}. ${help}`;
  return problem([...section, key], { code: "ERR_OPTION_UNKNOWN", text, part: "key" }, at);
}

function problem(
  path: ConfigPath,
  details: { code: ErrorCode; text: string; part: "key" | "value" },
  { root, path: base, plugin }: CheckedAt,
): Problem {
  const name = shorten(formatPath(path), 200);
  const label = plugin === undefined ? undefined : `${JSON.stringify(plugin)}:${name && ` ${name}`}`;
  return problemAt(root, { ...details, path: [...base, ...path], ...(label !== undefined && { label }) });
}

function codeOf(issue: Issue, value: unknown): ErrorCode {
  if (issue.code === "custom") return (issue.params?.code as ErrorCode | undefined) ?? "ERR_OPTION_RANGE";
  if (isRefusedKey(issue)) return "ERR_PLAN_CONFLICT";
  if (value === undefined) return "ERR_OPTION_MISSING";
  // NaN and infinity are numbers, but no schema has room for them.
  if (typeof value === "number" && !Number.isFinite(value)) return "ERR_OPTION_RANGE";
  if (issue.code === "invalid_type" || issue.code === "invalid_union") return "ERR_OPTION_TYPE";
  if (issue.code === "invalid_value" && typeof value !== typeof issue.values[0]) return "ERR_OPTION_TYPE";
  return "ERR_OPTION_RANGE";
}

function textOf(issue: Issue, value: unknown, schema: z.ZodType | undefined): string {
  const got = `got ${given(value)}`;
  if (issue.code === "custom") return issue.params?.complete ? issue.message : `${withoutName(issue)}, ${got}`;
  if (isRefusedKey(issue)) return issue.message;
  if (issue.message.startsWith("must ") || !schema) return `${issue.message}, ${got}`;
  const finite = typeof value === "number" && !Number.isFinite(value) ? " and finite" : "";
  const text = `must be ${expectedOf(schema)}${finite}, ${got}`;
  if (value === undefined)
    return `${text}. ${(schema.meta() as { description?: string } | undefined)?.description ?? ""}`;
  const choices = issue.code === "invalid_value" ? issue.values.filter((choice) => typeof choice === "string") : [];
  return typeof value === "string" ? `${text}. ${didYouMean(value, choices)}`.replace(/\. $/, "") : text;
}

/** Many refinements name the option themselves; the label does so already. */
function withoutName({ message, path }: Issue): string {
  const name = `${String(path.at(-1))} `;
  return (message.startsWith(name) ? message.slice(name.length) : message).replace(/\.$/, "");
}

/** A key that a schema lists only to say why it is refused. */
function isRefusedKey(issue: Issue): boolean {
  return issue.code === "invalid_type" && issue.expected === "never";
}

/** Like {@link validate}, for options whose schema a plugin brings: what it throws is the plugin's fault. */
export function validatePluginOptions(
  schema: z.ZodObject,
  value: unknown,
  at: CheckedAt & { plugin: string },
): Record<string, unknown> {
  enterCall(at.plugin, "options");
  try {
    return validate(schema, value, at) as Record<string, unknown>;
  } catch (cause) {
    if (cause instanceof WinnowError) throw cause;
    throw new WinnowError(
      "ERR_PLUGIN_FAILED",
      `Plugin "${at.plugin}" failed while its options were checked: ${cause}.`,
      {
        plugin: at.plugin,
        cause,
      },
    );
  } finally {
    leaveCall();
  }
}
