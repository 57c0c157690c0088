import { spawn } from "node:child_process";

/** Runs a command and resolves to what it printed; throws all of that if it fails. */
export async function run(command, args, cwd) {
  const { status, output } = await execute(command, args, cwd);
  if (status !== 0) throw new Error(`${[command, ...args].join(" ")} failed in ${cwd}:\n${output}`);
  return output;
}

/** Runs a command; resolves to what it printed if it failed, else undefined. */
export async function attempt(command, args, cwd) {
  const { status, output } = await execute(command, args, cwd);
  return status === 0 ? undefined : output;
}

function execute(command, args, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      shell: process.platform === "win32",
      env: { ...process.env, NO_COLOR: "1" },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text) => {
        output += text;
      });
    }
    child.once("error", reject);
    child.once("close", (status) => resolve({ status, output }));
  });
}

/** Says what a step does and how long it took. */
export async function timed(title, work) {
  const start = performance.now();
  const result = await work();
  console.log(`${title}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
  return result;
}
