import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WinnowError } from "@winnow/core";
import type { MatrixPlace } from "../plan/plan.js";
import { writeFileAtomically } from "../receipt/write-file.js";
import type { MatrixReport } from "./tasks.js";

/** How far a run has come. */
interface State {
  /** Of everything that determines the result. */
  readonly key: string;
  /** Layers whose matrices, and the residual streams after them, are in the folder. */
  readonly layersDone: number;
  readonly reports: readonly MatrixReport[];
}

const STATE = "state.json";
const LOCK = "lock";

/** Files of a run: residual streams, finished matrices, and how far it has come. */
export class WorkFolder {
  readonly path: string;
  #state: State;

  private constructor(path: string, state: State) {
    this.path = path;
    this.#state = state;
  }

  /** A folder in which a run with the same `key` goes on where the last one stopped. Work of another key is thrown away, with a notice. */
  static resumable(path: string, key: string, notice: (text: string) => void): WorkFolder {
    const state = readState(join(path, STATE));
    refuseUsed(path);
    if (state?.key === key) {
      if (state.layersDone > 0) notice(`Going on after ${state.layersDone} finished layers in "${path}".`);
      return WorkFolder.#locked(path, state);
    }
    if (existsSync(path)) {
      notice(`Starting anew: "${path}" holds the unfinished work of another configuration, model or text.`);
      fileWork(path, () => rmSync(path, { recursive: true }));
    }
    fileWork(path, () => mkdirSync(path, { recursive: true }));
    const folder = WorkFolder.#locked(path, { key, layersDone: 0, reports: [] });
    folder.#save();
    return folder;
  }

  static #locked(path: string, state: State): WorkFolder {
    fileWork(path, () => writeFileSync(join(path, LOCK), String(process.pid)));
    used.add(path);
    return new WorkFolder(path, state);
  }

  /** A new folder for a run whose results stay in memory. */
  static temporary(): WorkFolder {
    const path = fileWork(tmpdir(), () => mkdtempSync(join(tmpdir(), "winnow-prune-")));
    return new WorkFolder(path, { key: "", layersDone: 0, reports: [] });
  }

  get layersDone(): number {
    return this.#state.layersDone;
  }

  get reports(): readonly MatrixReport[] {
    return this.#state.reports;
  }

  /** Residual streams before a layer. */
  residualFile(layer: number): string {
    return join(this.path, `residual-${layer}.f32`);
  }

  matrixFile({ layer, projection }: MatrixPlace): string {
    return join(this.path, `layer-${layer}.${projection}.bin`);
  }

  /** Notes that the next layer is done; the residual streams before it are no longer needed. */
  finishLayer(reports: readonly MatrixReport[]): void {
    const layer = this.layersDone;
    this.#state = { ...this.#state, layersDone: layer + 1, reports: [...this.reports, ...reports] };
    if (this.#state.key !== "") this.#save();
    rmSync(this.residualFile(layer), { force: true });
  }

  /** Lets another run go on here. */
  release(): void {
    used.delete(this.path);
    rmSync(join(this.path, LOCK), { force: true });
  }

  remove(): void {
    used.delete(this.path);
    rmSync(this.path, { recursive: true, force: true });
  }

  #save(): void {
    writeFileAtomically(join(this.path, STATE), JSON.stringify(this.#state));
  }
}

/** Folders of runs in this process. */
const used = new Set<string>();

/** The lock of a process that was killed does not count. */
function refuseUsed(path: string): void {
  const pid = Number(readIfThere(join(path, LOCK)) ?? 0);
  if (!used.has(path) && (pid === process.pid || !isRunning(pid))) return;
  throw new WinnowError(
    "ERR_OUTPUT_FILE",
    `Cannot use the work folder "${path}": another run (process ${pid}) is using it. Wait for it, or choose another out.`,
  );
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function isRunning(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Undefined for a file that is not there or was not written by {@link WorkFolder}. */
function readState(file: string): State | undefined {
  try {
    const state = JSON.parse(readFileSync(file, "utf8")) as Partial<State>;
    const isState = typeof state.key === "string" && Number.isInteger(state.layersDone) && Array.isArray(state.reports);
    return isState ? (state as State) : undefined;
  } catch {
    return undefined;
  }
}

function fileWork<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const problem = `Cannot use the work folder "${path}": ${(cause as Error).message}. Check its rights, or choose another out.`;
    throw new WinnowError("ERR_OUTPUT_FILE", problem, { cause });
  }
}
