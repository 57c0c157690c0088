// Assembles src/kernel.wat into src/module-bytes.ts. Run after a change of kernel.wat:
//   npx tsc -p tsconfig.json; node scripts/assemble.mjs
import { readFileSync, writeFileSync } from "node:fs";
import { assemble } from "../dist/assemble.js";

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
const base64 = Buffer.from(assemble(read("../src/kernel.wat"))).toString("base64");
const lines = base64.match(/.{1,110}/g).map((line) => `  "${line}",`);
const text = `/** \`kernel.wat\`, assembled by scripts/assemble.mjs, in base64. */
export const moduleBytes = [
${lines.join("\n")}
].join("");
`;
writeFileSync(new URL("../src/module-bytes.ts", import.meta.url), text);
