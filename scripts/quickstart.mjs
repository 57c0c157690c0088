// npm run quickstart [-- --length 32768]: install, build, then run configs/quickstart.yaml.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ensureBuilt, ensureInstalled, root, run } from "./lib/workspace.mjs";

ensureInstalled();
ensureBuilt();

const args = process.argv.slice(2);
const native = existsSync(join(root, "packages", "kernels-native", "build", "winnow_native.node"));
// Without the native add-on the fallback kernels run, which is comfortable up to a few thousand tokens.
const fallback = native || args.includes("--length") ? [] : ["--length", "2048"];
run("winnow", ["run", "configs/quickstart.yaml", ...fallback, ...args]);
