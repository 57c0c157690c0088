import { createRequire } from "node:module";
import { type KernelPackage, WinnowError } from "@winnow/core";
import type { InferenceSession, Tensor } from "onnxruntime-node";

export type OnnxRuntime = typeof import("onnxruntime-node");
export type { InferenceSession, Tensor };

export interface SessionSettings {
  /** Intra-operation threads, the caller's included. */
  readonly threads: number;
  /**
   * Whether idle threads spin while they wait for the next operation. Each session owns its threads, so that spinning ones of many sessions
   * take the cores from each other; one session that runs alone is faster with it.
   */
  readonly spinning: boolean;
  /** Whether they stop doing so when a run ends, so that what runs next has the cores for itself. Default: no. */
  readonly restAfterRun?: boolean;
}

/**
 * Loads onnxruntime-node at first use: importing this package never does.
 * Throws `ERR_KERNEL_UNSUPPORTED` with what to do if it is not installed or its binary does not load.
 * @param load Only tests pass one.
 */
export async function loadOnnxRuntime(
  load: () => Promise<OnnxRuntime> = () => import("onnxruntime-node"),
): Promise<OnnxRuntime> {
  try {
    return await load();
  } catch (cause) {
    throw new WinnowError("ERR_KERNEL_UNSUPPORTED", loadFailure(cause), { cause });
  }
}

/**
 * Whether onnxruntime-node loads here, and if not, why. Only loading tells: it installs on platforms that it has no binary for.
 * Costs about 0.1 s the first time. `load`: only tests pass one.
 */
export function onnxRuntimeStatus(
  load: () => unknown = () => createRequire(import.meta.url)("onnxruntime-node"),
): ReturnType<KernelPackage["available"]> {
  try {
    load();
    return { available: true };
  } catch (cause) {
    return { available: false, reason: loadFailure(cause) };
  }
}

/** Makes a session on the CPU from encoded model bytes. Throws `ERR_KERNEL_UNSUPPORTED` if ONNX Runtime refuses the graph. */
export async function createSession(model: Uint8Array, settings: SessionSettings): Promise<InferenceSession> {
  const runtime = await loadOnnxRuntime();
  try {
    return await runtime.InferenceSession.create(model, {
      executionProviders: ["cpu"],
      intraOpNumThreads: settings.threads,
      interOpNumThreads: 1,
      logSeverityLevel: 3,
      extra: {
        session: {
          intra_op: { allow_spinning: settings.spinning ? "1" : "0" },
          force_spinning_stop: settings.restAfterRun ? "1" : "0",
        },
      },
    });
  } catch (cause) {
    throw new WinnowError(
      "ERR_KERNEL_UNSUPPORTED",
      `ONNX Runtime refused a graph: ${messageOf(cause)}. Install onnxruntime-node 1.30, or use another kernel package.`,
      { cause },
    );
  }
}

/** Throws `ERR_OPERATION_ARGUMENT` unless `threads` is an integer >= 1. */
export function checkThreads(threads: number): void {
  if (Number.isInteger(threads) && threads >= 1) return;
  throw new WinnowError(
    "ERR_OPERATION_ARGUMENT",
    `Cannot start ONNX Runtime: threads must be an integer >= 1, got ${threads}. Set it to the number of cores to use.`,
  );
}

/**
 * The first `count` elements in memory that ONNX Runtime accepts. A view where possible; a copy of shared memory, which
 * onnxruntime-node refuses on Node 20.
 */
export function privateView(x: Float32Array, count: number): Float32Array<ArrayBuffer> {
  return x.buffer instanceof ArrayBuffer
    ? (x.subarray(0, count) as Float32Array<ArrayBuffer>)
    : new Float32Array(x.subarray(0, count));
}

function loadFailure(cause: unknown): string {
  const { code } = cause as { code?: string };
  // An installed package without a binary for this platform fails with the same code.
  const notFound = code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND";
  const missing = notFound && !messageOf(cause).includes("onnxruntime_binding.node");
  const step = missing
    ? 'Install it with "npm install onnxruntime-node@1.30.0" (set ONNXRUNTIME_NODE_INSTALL=skip to leave out its CUDA download)'
    : `Check that ${process.platform}-${process.arch} is among its platforms (linux x64 and arm64, win32 x64 and arm64, darwin arm64) and that the C++ runtime of the system is recent`;
  return `Cannot load onnxruntime-node: ${missing ? "it is not installed" : messageOf(cause)}. ${step}, or use another kernel package.`;
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
