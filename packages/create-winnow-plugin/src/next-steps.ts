import { relative } from "node:path";
import type { CreatedPlugin } from "./create-plugin.js";

/** What was made and what to type next. */
export function nextSteps({ packageName, folder, files }: CreatedPlugin): string {
  const path = relative(process.cwd(), folder) || ".";
  return [
    `${packageName}: ${files.length} files in ${path}`,
    "",
    ...(path === "." ? [] : [`  cd ${path}`]),
    "  npm install",
    "  npm test",
    "",
    "README.md says what to change.",
  ].join("\n");
}
