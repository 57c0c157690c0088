// Writes what derives from the code: JSON Schemas, the README's tables of methods, pages of docs. `--check` fails if any of them is stale.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { errorCodes } from "../packages/core/dist/index.js";
import { PluginRegistry, pipelineJsonSchema, receiptJsonSchema } from "../packages/runtime/dist/index.js";
import { cliPage } from "./lib/cli-reference.mjs";
import { methodsPage, methodsTables } from "./lib/methods.mjs";
import { referencePages } from "./lib/reference.mjs";
import { root } from "./lib/workspace.mjs";

const check = process.argv.includes("--check");
const registry = new PluginRegistry({ folder: root });
const plugins = await Promise.all(registry.list().map(({ id }) => registry.load(id)));

const outputs = {
  "schemas/pipeline.schema.json": json(pipelineJsonSchema(plugins)),
  "schemas/receipt.schema.json": json(receiptJsonSchema()),
  "docs/errors.md": errorsPage(),
  "docs/methods.md": methodsPage(plugins),
  "docs/cli.md": cliPage(),
  ...referencePages(),
  "README.md": withSection(
    read("README.md"),
    "methods",
    methodsTables(plugins, (id) => read(`plugins/${id}/README.md`)),
  ),
};

const stale = Object.entries(outputs).filter(([file, text]) => read(file) !== text);
if (check && stale.length > 0) {
  console.error(`Stale: ${stale.map(([file]) => file).join(", ")}. Run node scripts/generate.mjs.`);
  process.exit(1);
}
for (const [file, text] of stale) {
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), text);
  console.log(`Wrote ${file}`);
}
if (stale.length === 0) console.log("All generated files are current.");

function read(file) {
  return existsSync(join(root, file)) ? readFileSync(join(root, file), "utf8") : "";
}

function json(value) {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function errorsPage() {
  const rows = Object.entries(errorCodes).map(([code, meaning]) => `| \`${code}\` | ${meaning} |`);
  return `# Error codes\n\nGenerated from \`packages/core/src/errors.ts\`. The command line ends with status 2 for these, 130 after Ctrl-C.\n\n| code | meaning |\n| --- | --- |\n${rows.join("\n")}\n`;
}

function withSection(text, name, content) {
  const [start, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const pattern = new RegExp(`${start}[\\s\\S]*?${end}`);
  if (!pattern.test(text)) throw new Error(`README.md must hold ${start} and ${end}.`);
  return text.replace(pattern, () => `${start}\n${content}\n${end}`);
}
