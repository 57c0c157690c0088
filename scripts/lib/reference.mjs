// Pages of docs/reference, from the comments in packages/core/src.
import { join } from "node:path";
import { operationMethods } from "../../packages/core/dist/index.js";
import { readDeclarations } from "./declarations.mjs";
import { root } from "./workspace.mjs";

/** What a plugin author meets, page by page. */
const contractSections = [
  ["Declare a plugin", ["manifest.ts", "plugin.ts", "options.ts", "inner-plugins.ts", "model-shape.ts"]],
  ["Maskers", ["masker.ts", "block-scorer.ts", "mask.ts"]],
  ["KV pruners", ["kv-pruner.ts", "evict-scorer.ts", "element-scorer.ts", "packed-rows.ts"]],
  [
    "Weights",
    ["weight-sparsifier.ts", "weight-scorer.ts", "weight-context.ts", "linear-weight.ts", "channel-weights.ts"],
  ],
  ["Kernels", ["kernel.ts"]],
  ["Searches and recorded outputs", ["tune.ts", "fixture.ts"]],
  ["Tensors", ["tensor.ts"]],
];

const families = [
  ["Primitives", "Primitives for plugins"],
  ["LinearAlgebra", "Linear algebra for pruning"],
  ["AttentionOperations", "Attention and cache"],
  ["DenseOperations", "Layers"],
];

const note = (source) => `Generated from the comments in \`${source}\` by \`node scripts/generate.mjs\`.\n`;

/** File name to text of every page. */
export function referencePages() {
  const files = contractSections.flatMap(([, files]) => files);
  const declarations = readDeclarations(join(root, "packages/core"), [...files, "operations.ts"]);
  return {
    "docs/reference/contracts.md": contractsPage(declarations),
    "docs/reference/operations.md": operationsPage(declarations.filter(({ file }) => file === "operations.ts")),
  };
}

function contractsPage(declarations) {
  const sections = contractSections.map(([title, files]) => {
    const parts = files.flatMap((file) => declarations.filter((declaration) => declaration.file === file));
    return `## ${title}\n\n${parts.map(declarationText).join("\n")}`;
  });
  const intro =
    "What a plugin implements and what it is given. Everything is exported by `@winnow/core`; the heavy steps are in [operations](operations.md), the way to a first plugin is the [guide](../guide/index.md).";
  return `# Contracts\n\n${note("packages/core/src")}\n${intro}\n\n${sections.join("\n")}`;
}

function declarationText({ name, kind, doc, text, members, bases }) {
  const heading = `### ${name}\n\n${doc && `${doc}\n\n`}`;
  if (kind !== "interface" || members.length === 0) return `${heading}${code(text)}`;
  const extended = bases.length > 0 ? `Has all of ${bases.map((base) => `\`${base}\``).join(", ")}, and:\n\n` : "";
  return `${heading}${extended}${members.map(memberText).join("")}`;
}

/** One entry of a list; a long signature stands below it. */
function memberText({ doc, text }) {
  const meaning = doc.replaceAll("\n", " ");
  const signature = text.replace(/^readonly /, "").replace(/;$/, "");
  if (!signature.includes("\n")) return `- \`${signature}\`${meaning && `: ${meaning}`}\n`;
  return `- ${meaning || "Entry:"}\n\n${indent(code(signature), "  ")}\n`;
}

function operationsPage(declarations) {
  const intro =
    "The heavy steps that kernel packages implement. A plugin states its method in these; it is handed them as `context.primitives` (maskers and KV pruners) or `context.operations` (weights). A kernel package may be chosen for each group under `kernels` in a configuration.";
  const found = (name) => declarations.find((declaration) => declaration.name === name);
  const sections = families.map(([name, title]) => familyText(title, found(name)));
  const types = declarations.filter(
    ({ name }) => name !== "Operations" && !families.some(([family]) => family === name),
  );
  return [
    `# Operations\n\n${note("packages/core/src/operations.ts")}\n${intro}\n\n${found("Operations").doc}\n`,
    `\n${summaryTable(families.map(([name]) => found(name)))}\n`,
    ...sections,
    `\n## Types\n\n${types.map(declarationText).join("\n")}`,
  ].join("");
}

function familyText(title, { doc, members }) {
  const operations = members.map((member) => `### ${member.name}\n\n${member.doc}\n\n${code(member.text)}`);
  return `\n## ${title}\n\n${doc && `${doc}\n\n`}${operations.join("\n")}`;
}

function summaryTable(found) {
  const rows = found.flatMap(({ members }) =>
    members.map(({ name, doc }) => `| [${name}](#${name.toLowerCase()}) | ${groupOf(name)} | ${costOf(name, doc)} |`),
  );
  return `| operation | group | cost |\n| --- | --- | --- |\n${rows.join("\n")}`;
}

function groupOf(method) {
  return Object.entries(operationMethods).find(([, methods]) => methods.includes(method))?.[0] ?? "-";
}

/** The last `O(...)` of a comment; an operation without one is a mistake. */
export function costOf(name, doc) {
  const costs = doc.match(/O\((?:[^()]|\([^()]*\))*\)/g);
  if (!costs) throw new Error(`Operation ${name} does not say its cost. Add O(...) to its comment.`);
  return costs.at(-1).replaceAll("|", "\\|");
}

function code(text) {
  return `\`\`\`ts\n${text}\n\`\`\`\n`;
}

function indent(text, by) {
  return text.replace(/^(?=.)/gm, by);
}
