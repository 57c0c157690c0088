// Reads a JSON list of command lines of winnow, each a list of words, and writes a list of what is wrong with each: "" if it would run. Runs none of them.
import { readFileSync } from "node:fs";
import { createProgram } from "../../packages/cli/dist/program.js";

/** Thrown where the action of a command would start, after all of its arguments and options were accepted. */
const accepted = new Error("accepted");

const program = createProgram(async () => {});
program.hook("preAction", () => {
  throw accepted;
});

const problems = [];
for (const words of JSON.parse(readFileSync(0, "utf8"))) problems.push(await problemOf(words));
process.stdout.write(JSON.stringify(problems));

async function problemOf(words) {
  try {
    await program.parseAsync(words, { from: "user" });
  } catch (error) {
    return error === accepted ? "" : error.message;
  }
  return "no command ran";
}
