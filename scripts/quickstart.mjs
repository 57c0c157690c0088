// npm run quickstart [-- --length 32768]: install, build, then run configs/quickstart.yaml.
import { ensureBuilt } from "./lib/build.mjs";
import { ensureInstalled } from "./lib/install.mjs";
import { notice, run } from "./lib/workspace.mjs";

/** Tokens that are comfortable without native kernels. */
const FALLBACK_LENGTH = 2048;

ensureInstalled();
ensureBuilt();

const args = process.argv.slice(2);
const { nativeStatus } = await import("../packages/kernels-native/dist/index.js");
if (!nativeStatus().available && !args.some((arg) => /^--(length|help)\b/.test(arg))) {
  notice(`Without native kernels the prompt is ${FALLBACK_LENGTH} tokens long; --length chooses another.`);
  args.push("--length", String(FALLBACK_LENGTH));
}
run("winnow", ["run", "configs/quickstart.yaml", ...args]);
