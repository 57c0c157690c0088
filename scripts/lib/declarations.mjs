// Exported declarations of a package with their comments, as the TypeScript compiler reads them.
import { join } from "node:path";
import {
  isFunctionDeclaration,
  isInterfaceDeclaration,
  isTypeAliasDeclaration,
  isVariableStatement,
} from "typescript/unstable/ast/is";
import { API } from "typescript/unstable/sync";

const kinds = [
  [isInterfaceDeclaration, "interface"],
  [isTypeAliasDeclaration, "type"],
  [isFunctionDeclaration, "function"],
  [isVariableStatement, "const"],
];

/**
 * Declarations of each file of a package, in order: `{ name, kind, file, doc, text, exported, members }`. `text` is the source without comment before it and, for
 * functions, without body; members of interfaces have `name`, `doc` and `text` alike.
 */
export function readDeclarations(folder, files) {
  const api = new API({ cwd: folder });
  try {
    const [project] = api.updateSnapshot({ openProject: join(folder, "tsconfig.json") }).getProjects();
    return files.flatMap((file) => {
      const source = project.program.getSourceFile(join(folder, "src", file));
      if (!source) throw new Error(`${file} is not part of ${folder}.`);
      return source.statements.flatMap((statement) => declarationOf(statement, source, file));
    });
  } finally {
    api.close();
  }
}

function declarationOf(statement, source, file) {
  const kind = kinds.find(([is]) => is(statement))?.[1];
  const text = textOf(statement, source);
  if (!kind || !text.startsWith("export ")) return [];
  const name = (kind === "const" ? statement.declarationList.declarations[0] : statement).name.text;
  const end = statement.body ? statement.body.getStart(source) : statement.end;
  return [
    {
      name,
      kind,
      file,
      doc: docOf(statement, source),
      text: source.text
        .slice(statement.getStart(source), end)
        .replace(/^export /, "")
        .trim(),
      members: (kind === "interface" ? statement.members : []).map((member) => ({
        name: member.name.text,
        doc: docOf(member, source),
        text: textOf(member, source),
      })),
      bases: (statement.heritageClauses ?? []).flatMap(({ types }) => types.map((type) => textOf(type, source))),
    },
  ];
}

function textOf(node, source) {
  return source.text.slice(node.getStart(source), node.end);
}

/** The last comment before a node as markdown: without stars, lines joined to paragraphs, links as code. */
function docOf(node, source) {
  const comment = node.jsDoc?.at(-1);
  if (!comment) return "";
  const lines = source.text
    .slice(comment.pos, comment.end)
    .trim()
    .replace(/^\/\*\*|\*\/$/g, "")
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trim());
  return lines
    .join("\n")
    .trim()
    .replace(/\{@link ([^}]+)\}/g, "`$1`");
}
