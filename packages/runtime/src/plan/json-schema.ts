import type { PluginDefinition } from "@winnow/core";
import { z } from "zod";
import { pipelineSchema } from "../config/schema.js";

type Json = Record<string, unknown>;

/**
 * JSON Schema of a pipeline for editors: ids of the given plugins complete, their options are checked by the id beside them,
 * and every option shows its description, unit, symbol and source.
 */
export function pipelineJsonSchema(plugins: readonly PluginDefinition[]): Json {
  const schema = jsonSchemaOf(pipelineSchema);
  const maskers = plugins.filter(({ kind }) => kind === "masker" || kind === "block-scorer");
  const pruners = plugins.filter(({ kind }) => kind === "kv-pruner" || kind === "evict-scorer");
  const sparsifiers = plugins.filter(({ kind }) => kind === "weight-sparsifier" || kind === "weight-scorer");
  for (const section of sections(schema, "prefill"))
    addPlugins(section, "masker", maskers, { const: "dense", description: "Plain causal attention." });
  for (const section of sections(schema, "decode"))
    addPlugins(section, "kvPruner", pruners, { const: "none", description: "Read and keep the whole cache." });
  addPlugins((schema.properties as Record<string, Json>).weights.items as Json, "sparsifier", sparsifiers);
  return { title: "Winnow pipeline", ...schema };
}

/** A section and the entries of its overrides. */
function sections(schema: Json, name: string): Json[] {
  const section = (schema.properties as Record<string, Json>)[name];
  const overrides = (section.properties as Record<string, Json>).overrides;
  return [section, overrides.items as Json];
}

function addPlugins(section: Json, key: string, plugins: readonly PluginDefinition[], none?: Json): void {
  const properties = section.properties as Record<string, Json>;
  const known = [...(none ? [none] : []), ...plugins.map(({ id, summary }) => ({ const: id, description: summary }))];
  properties[key] = {
    ...properties[key],
    anyOf: [...known, { type: "string", description: "Another plugin: package name or relative path." }],
  };
  section.allOf = plugins.map((plugin) => ({
    if: { properties: { [key]: { const: plugin.id } }, required: [key] },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
    then: { properties: { options: optionsSchema(plugin) } },
  }));
}

function optionsSchema(plugin: PluginDefinition): Json {
  const { properties } = jsonSchemaOf(plugin.options);
  return { type: "object", properties, additionalProperties: false };
}

function jsonSchemaOf(schema: z.ZodType): Json {
  return z.toJSONSchema(schema, {
    target: "draft-7",
    io: "input",
    unrepresentable: "any",
    override: ({ jsonSchema }) => describeForEditors(jsonSchema as Json),
  }) as Json;
}

/** Editors show descriptions only, and strict validators refuse keywords that they do not know. */
function describeForEditors(json: Json): void {
  const { description, unit, symbol, source } = json;
  const facts = [unit && `Unit: ${unit}.`, symbol && `Symbol in the paper: ${symbol}.`, source && `Source: ${source}.`];
  if (description) json.description = [description, ...facts.filter(Boolean)].join(" ");
  for (const key of ["unit", "symbol", "source"]) delete json[key];
  if (json.format === "path") delete json.format;
}
