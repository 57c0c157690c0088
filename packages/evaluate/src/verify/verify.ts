import { existsSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { type Operations, WinnowError } from "@winnow/core";
import { readSafetensorsHeader } from "@winnow/models";
import { verifyArchitectureFixture } from "./architecture-fixture.js";
import { createModelOpener, type OpenModel } from "./decoder-cache.js";
import { verifyModelFixture } from "./model-fixture.js";
import { isPluginFixture, type RunnerOf, verifyPluginFixture } from "./plugin-fixture.js";
import { isTokenizerFixture, verifyTokenizerFixture } from "./tokenizer-fixture.js";
import type { FixtureReport, VerifyReport } from "./verdict.js";

export interface VerifyOptions {
  readonly operations: Operations;
  readonly kernels: string;
  readonly runnerOf: RunnerOf;
  /** Folders searched for `<name>/config.json` of a model that a fixture names. */
  readonly modelFolders: readonly string[];
  readonly onFixture?: (done: number, total: number, name: string) => void;
}

interface Job {
  readonly name: string;
  run(): Promise<FixtureReport> | FixtureReport;
}

/**
 * Runs every fixture under a folder: method fixtures (`method` and `kind` in the metadata), architecture folders
 * (config.json, model.safetensors, golden.safetensors), and prompts or token ids of a whole model.
 * Everything is computed in float32. A fixture that cannot be run becomes an `error` report; the others go on.
 */
export async function verifyFolder(folder: string, options: VerifyOptions): Promise<VerifyReport> {
  if (!existsSync(folder)) throw new WinnowError("ERR_FIXTURE", `Cannot verify "${folder}": there is no such folder.`);
  const jobs = findJobs(folder, folder, options, createModelOpener(options.operations));
  const fixtures: FixtureReport[] = [];
  for (const job of jobs) {
    options.onFixture?.(fixtures.length, jobs.length, job.name);
    fixtures.push(await runJob(job));
  }
  return { folder, kernels: options.kernels, fixtures };
}

async function runJob(job: Job): Promise<FixtureReport> {
  try {
    return await job.run();
  } catch (error) {
    return { fixture: job.name, verdict: "error", compared: (error as Error).message, worst: null };
  }
}

function findJobs(
  root: string,
  folder: string,
  options: VerifyOptions,
  openModel: (folder: string) => OpenModel,
): Job[] {
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  if (entries.some((entry) => entry.name === "golden.safetensors")) {
    const name = relative(root, folder) || ".";
    return [{ name, run: () => verifyArchitectureFixture(name, folder, openModel) }];
  }
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return findJobs(root, path, options, openModel);
    return fileJob(relative(root, path), path, options, openModel);
  });
}

function fileJob(name: string, path: string, options: VerifyOptions, openModel: (folder: string) => OpenModel): Job[] {
  if (path.endsWith(".json")) {
    if (!isTokenizerFixture(path)) return [];
    const model = () => openModel(findModel(path, undefined, options.modelFolders));
    return [{ name, run: () => verifyTokenizerFixture(name, path, model()) }];
  }
  if (!path.endsWith(".safetensors")) return [];
  return [{ name, run: () => verifyFile(name, path, options, openModel) }];
}

async function verifyFile(
  name: string,
  path: string,
  options: VerifyOptions,
  openModel: (folder: string) => OpenModel,
): Promise<FixtureReport> {
  const { metadata, tensors } = readSafetensorsHeader(path);
  if (isPluginFixture(metadata)) return verifyPluginFixture(name, path, options.runnerOf, options.operations);
  if (tensors.has("ids") || tensors.has("ids_0"))
    return verifyModelFixture(name, path, openModel(findModel(path, metadata.model, options.modelFolders)));
  throw new WinnowError("ERR_FIXTURE", "Its metadata names no method and kind, and it holds no ids of a prompt.");
}

/** The named model in one of the folders; without a name, the only model there is. */
function findModel(path: string, name: string | undefined, folders: readonly string[]): string {
  const candidates = folders.flatMap((folder) => (existsSync(folder) ? modelsIn(folder) : []));
  const found = candidates.find(
    (candidate) => name === undefined || candidate.endsWith(`/${name}`) || candidate.endsWith(`\\${name}`),
  );
  if (!found)
    throw new WinnowError(
      "ERR_FIXTURE",
      `"${path}" was made with model "${name ?? "(unnamed)"}", which is in none of ${folders.join(", ")}. Give its folder with --model.`,
    );
  return found;
}

function modelsIn(folder: string): string[] {
  if (existsSync(join(folder, "config.json"))) return [folder];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(folder, entry.name, "config.json")))
    .map((entry) => join(folder, entry.name));
}
