// What the installed plugins say of themselves: the README's table of methods, docs/methods.md.
import { listOptions } from "../../packages/core/dist/index.js";

const groups = [
  ["Maskers: what attention over the prompt computes", ({ kind }) => ["masker", "block-scorer"].includes(kind)],
  [
    "KV pruners: what decoding reads and keeps",
    ({ kind }) => ["kv-pruner", "evict-scorer", "element-scorer"].includes(kind),
  ],
  ["Weight sparsifiers", ({ kind }) => ["weight-sparsifier", "weight-scorer"].includes(kind)],
  ["Kernels", ({ kind }) => kind === "kernel"],
];

/** Plugins by what they are for; those that hold others stand together. `[title, plugins]`, empty groups left out. */
function grouped(plugins) {
  const [wrappers, methods] = [plugins.filter(isWrapper), plugins.filter((plugin) => !isWrapper(plugin))];
  return [
    ...groups.map(([title, belongs]) => [title, methods.filter(belongs)]),
    ["Wrappers: plugins around other plugins", wrappers],
  ].filter(([, members]) => members.length > 0);
}

function isWrapper({ options }) {
  const schema = options.toJSONSchema({ io: "input", unrepresentable: "any" });
  return JSON.stringify(schema).includes('"format":"plugin"');
}

/** A table per group. `readme` gives the text of a plugin's README. */
export function methodsTables(plugins, readme) {
  const tables = grouped(plugins).map(([title, members]) => {
    const rows = members.map(
      ({ id, kind, summary, source }) =>
        `| [${id}](plugins/${id}/README.md) | ${kind} | ${cell(summary)} | ${cell(sourceOf(source))} | ${measured(readme(id))} |`,
    );
    return `### ${title}\n\n| method | kind | what it does | source | measured on the shipped model |\n| --- | --- | --- | --- | --- |\n${rows.join("\n")}`;
  });
  return tables.join("\n\n");
}

/** First sentence of the "Measured" section of a plugin's README. */
function measured(readme) {
  const section = readme.split(/^## Measured$/m)[1] ?? "";
  const [first] = section.trim().split(/\n\n|(?<=\.) (?=[A-Z])/);
  return first?.replaceAll("\n", " ").replaceAll("|", "/") || "-";
}

/** Every plugin with its options. */
export function methodsPage(plugins) {
  const sections = grouped(plugins).map(([title, members]) => `## ${title}\n\n${members.map(methodText).join("\n")}`);
  const intro =
    "Generated from the plugins by `node scripts/generate.mjs`. `winnow plugins list` prints those that are installed; the README of each plugin says when to use it and what was measured.";
  return `# Methods\n\n${intro}\n\n${sections.join("\n")}`;
}

function methodText({ id, kind, summary, source, options }) {
  const entries = listOptions(options);
  const rows = entries.map(
    (entry) =>
      `| \`${entry.name}\` | ${cell(entry.type)} | ${cell(defaultOf(entry))} | ${entry.unit ?? ""} | ${cell(entry.symbol ?? "")} | ${cell(entry.description)} |`,
  );
  const table =
    rows.length > 0
      ? `\n| option | type | default | unit | symbol | meaning |\n| --- | --- | --- | --- | --- | --- |\n${rows.join("\n")}\n`
      : "";
  const title = source.url ? `[${source.title}](${source.url})` : source.title;
  return `### ${id}\n\n${summary} Kind: ${kind}. More in its [README](../plugins/${id}/README.md).\n\nSource: ${title}${source.year ? ` (${source.year})` : ""}.\n${table}`;
}

function defaultOf(entry) {
  return "default" in entry ? `\`${JSON.stringify(entry.default)}\`` : "";
}

function sourceOf({ title, year }) {
  return `${title}${year ? ` (${year})` : ""}`;
}

function cell(text) {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}
