import type { PluginDefinition, PluginKind } from "@winnow/core";
import { z } from "zod";
import { pipelineSchema } from "../config/schema.js";

type Json = Record<string, unknown>;

/**
 * JSON Schema of a pipeline for editors: ids of the given plugins complete, their options are checked by the id beside them,
 * and every option shows its description, unit, symbol and source.
 */
export function pipelineJsonSchema(plugins: readonly PluginDefinition[]): Json {
  const schema = jsonSchemaOf(pipelineSchema, plugins);
  const addTo = (section: Json, key: string, kinds: readonly PluginKind[], none?: Json) => {
    const fitting = ofKinds(plugins, kinds);
    addChoices(section, key, fitting, none);
    section.allOf = fitting.map((plugin) => optionsRule(key, plugin, plugins));
  };
  for (const section of sections(schema, "prefill"))
    addTo(section, "masker", ["masker", "block-scorer"], { const: "dense", description: "Plain causal attention." });
  for (const section of sections(schema, "decode"))
    addTo(section, "kvPruner", ["kv-pruner", "evict-scorer", "element-scorer"], {
      const: "none",
      description: "Read and keep the whole cache.",
    });
  addTo((schema.properties as Record<string, Json>).weights.items as Json, "sparsifier", [
    "weight-sparsifier",
    "weight-scorer",
  ]);
  return { title: "Winnow pipeline", ...schema };
}

/** A section and the entries of its overrides. */
function sections(schema: Json, name: string): Json[] {
  const section = (schema.properties as Record<string, Json>)[name];
  const overrides = (section.properties as Record<string, Json>).overrides;
  return [section, overrides.items as Json];
}

function ofKinds(plugins: readonly PluginDefinition[], kinds: readonly PluginKind[]): PluginDefinition[] {
  return plugins.filter(({ kind }) => kinds.includes(kind));
}

/** Completes the ids of plugins at `key`, and allows other names there. */
function addChoices(section: Json, key: string, plugins: readonly PluginDefinition[], none?: Json): void {
  const properties = section.properties as Record<string, Json>;
  const known = [...(none ? [none] : []), ...plugins.map(({ id, summary }) => ({ const: id, description: summary }))];
  properties[key] = {
    ...properties[key],
    anyOf: [...known, { type: "string", description: "Another plugin: package name or relative path." }],
  };
}

/** Where `key` names this plugin, the options beside it are those of its schema. */
function optionsRule(key: string, plugin: PluginDefinition, plugins: readonly PluginDefinition[]): Json {
  const { properties } = jsonSchemaOf(plugin.options, plugins);
  return {
    if: { properties: { [key]: { const: plugin.id } }, required: [key] },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema.
    then: { properties: { options: { type: "object", properties, additionalProperties: false } } },
  };
}

function jsonSchemaOf(schema: z.ZodType, plugins: readonly PluginDefinition[]): Json {
  return z.toJSONSchema(schema, {
    target: "draft-7",
    io: "input",
    unrepresentable: "any",
    override: ({ jsonSchema }) => describeForEditors(jsonSchema as Json, plugins),
  }) as Json;
}

/**
 * Editors show descriptions only, and strict validators refuse keywords that they do not know. Plugins inside options complete by id;
 * their own options are not checked here, because they may hold plugins again, without end.
 */
function describeForEditors(json: Json, plugins: readonly PluginDefinition[]): void {
  const { description, unit, symbol, source, kinds } = json;
  const facts = [unit && `Unit: ${unit}.`, symbol && `Symbol in the paper: ${symbol}.`, source && `Source: ${source}.`];
  if (description) json.description = [description, ...facts.filter(Boolean)].join(" ");
  if (json.format === "plugin") addChoices(json, "plugin", ofKinds(plugins, kinds as readonly PluginKind[]));
  for (const key of ["unit", "symbol", "source", "kinds"]) delete json[key];
  if (json.format === "path" || json.format === "plugin") delete json.format;
}
