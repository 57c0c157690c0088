import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Operations } from "@winnow/core";
import { exitStatus, type VerifyReport, verifyFolder } from "@winnow/evaluate";
import { loadKernelPackage, PluginRegistry } from "@winnow/runtime";
import type { ExitStatus } from "../context.js";
import { print, printJson, startProgress } from "../io.js";
import { table } from "../table.js";

export interface VerifyCommandOptions {
  readonly json?: boolean;
  readonly kernels: string;
  readonly threads?: number;
  readonly model: readonly string[];
}

/** `winnow verify DIR`: recorded reference outputs against what plugins and models compute here. */
export async function verifyCommand(folder: string, options: VerifyCommandOptions): Promise<ExitStatus> {
  const kernels = await loadKernelPackage(options.kernels);
  const instance = await kernels.load({ threads: options.threads ?? 2, isa: "auto" });
  const registry = new PluginRegistry({ folder: process.cwd() });
  const progress = startProgress("verify");
  try {
    const report = await verifyFolder(resolve(folder), {
      operations: instance.operations as Operations,
      kernels: `${options.kernels} (${instance.isa})`,
      runnerOf: async (method) => (registry.find(method) ? (await registry.load(method)).fixtures?.() : undefined),
      modelFolders: [...options.model.map((path) => resolve(path)), ...defaultModelFolders(folder)],
      onFixture(done, total, name) {
        progress.update(done / total, name);
      },
    });
    progress.stop();
    if (options.json) printJson({ ...report, status: exitStatus(report) });
    else print(describe(report));
    return exitStatus(report);
  } finally {
    progress.stop();
    await instance.close();
  }
}

/** `models` beside the verified folder or above it, then the models that ship with the project. */
function defaultModelFolders(folder: string): string[] {
  const shipped = fileURLToPath(new URL("../../../../models", import.meta.url));
  const start = resolve(folder);
  return [join(start, "models"), join(dirname(start), "models"), join(dirname(dirname(start)), "models"), shipped];
}

function describe(report: VerifyReport): string {
  const rows = report.fixtures.map(({ fixture, verdict, compared, worst, detail }) => [
    fixture,
    wrap(detail ?? compared),
    worst === null ? "-" : worst.toExponential(1),
    verdict,
  ]);
  const count = (verdict: string) => report.fixtures.filter((fixture) => fixture.verdict === verdict).length;
  return [
    table(["fixture", "compared", "worst difference", "verdict"], rows),
    `${count("pass")} pass, ${count("differ")} differ, ${count("not run")} not run, ${count("error")} cannot be run; kernels: ${report.kernels}`,
  ].join("\n");
}

function wrap(text: string): string {
  return text.replace(/(.{1,70})(\s+|$)/g, "$1\n").trimEnd();
}
