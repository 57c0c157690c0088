import { join } from "node:path";
import { PluginRegistry, pipelineJsonSchema, receiptJsonSchema, writeFileAtomically } from "@winnow/runtime";
import type { ExitStatus } from "../context.js";
import { notice } from "../io.js";

/** `winnow schema`: JSON Schemas for editors and tools, with the options of every installed plugin. */
export async function schemaCommand(options: { readonly out: string }): Promise<ExitStatus> {
  const registry = new PluginRegistry({ folder: process.cwd() });
  const plugins = await Promise.all(registry.list().map(({ id }) => registry.load(id)));
  const files = { "pipeline.schema.json": pipelineJsonSchema(plugins), "receipt.schema.json": receiptJsonSchema() };
  for (const [name, schema] of Object.entries(files)) {
    const file = join(options.out, name);
    writeFileAtomically(file, `${JSON.stringify(schema, null, 2)}\n`);
    notice(`Wrote ${file}`);
  }
  return 0;
}
