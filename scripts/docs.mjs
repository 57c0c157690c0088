// npm run docs: a static site of docs and of the packages' public interfaces, with search, in .site.
import { createRequire } from "node:module";
import { join } from "node:path";
import { ensureBuilt } from "./lib/build.mjs";
import { ensureInstalled } from "./lib/install.mjs";
import { notice, root, run } from "./lib/workspace.mjs";

ensureInstalled();
// Types of one package are read from what is built of another.
ensureBuilt();

const docs = join(root, "docs");
const typedoc = createRequire(join(docs, "package.json")).resolve("typedoc");
run(process.execPath, [
  join(typedoc, "../../bin/typedoc"),
  "--options",
  join(docs, "typedoc.json"),
  ...process.argv.slice(2),
]);
notice(`Open ${join(root, ".site", "index.html")}`);
