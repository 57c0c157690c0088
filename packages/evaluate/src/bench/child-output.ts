import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { WinnowError } from "@winnow/core";

/** Standard output of a program that ends with status 0; its standard error passes through. `failure` says what could not be done, given the status. */
export function outputOf(
  program: string,
  args: readonly string[],
  failure: (status: number | null) => string,
  signal: AbortSignal | undefined,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"], ...(signal && { signal }) });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    child.on("error", (error) => reject(signal?.aborted ? signal.reason : error));
    child.on("close", (status) => {
      if (status === 0) resolve(output);
      else reject(new WinnowError("ERR_WORKER_DIED", failure(status)));
    });
  });
}

/** What a module beside this one prints, as JSON, when it runs in a process of its own with `job` as its only argument. */
export async function resultOfChild<Result>(module: string, job: object, signal: AbortSignal | undefined) {
  const file = fileURLToPath(new URL(module, import.meta.url));
  const failure = (status: number | null) =>
    `Cannot measure: "node ${file}" ended with status ${status} for ${JSON.stringify(job)}. Run it alone to see why.`;
  return JSON.parse(await outputOf(process.execPath, [file, JSON.stringify(job)], failure, signal)) as Result;
}

/** The job that {@link resultOfChild} passed to this process. */
export function childJob<Job>(): Job {
  return JSON.parse(process.argv[2]) as Job;
}

export function printResult(result: object): void {
  process.stdout.write(JSON.stringify(result));
}
