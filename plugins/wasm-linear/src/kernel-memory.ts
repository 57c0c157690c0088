import { moduleBytes } from "./module-bytes.js";
import { type Memory, WebAssembly } from "./web-assembly.js";

/** Functions of `kernel.wat`; pointers and sizes in bytes, `bytes` a multiple of 16. */
interface KernelExports {
  readonly memory: Memory;
  product1(x: number, w: number, out: number, bytes: number, groups: number): void;
  product4(x: number, w: number, out: number, bytes: number, pairs: number, stride: number): void;
}

const PAGE_BYTES = 65536;

/** Of the 4 GiB that a 32-bit pointer reaches, weights take at most this much; the rest is for tiles. */
const RESIDENT_BYTES = 3 * 2 ** 30;

/** Four float32 lanes. */
const ALIGNMENT = 16;

let module: object | undefined;

/** The kernel with its memory: places for weights that stay, and one place each for what is overwritten. Memory grows and is never given back. */
export class KernelMemory {
  readonly kernel: KernelExports;
  readonly #scratch = new Map<string, { readonly start: number; readonly bytes: number }>();
  #end = ALIGNMENT;
  #floats: Float32Array;

  constructor() {
    module ??= new WebAssembly.Module(wasmBytes());
    this.kernel = new WebAssembly.Instance(module).exports as unknown as KernelExports;
    this.#floats = new Float32Array(this.kernel.memory.buffer);
  }

  /** The whole memory; valid until the next allocation. */
  get floats(): Float32Array {
    return this.#floats;
  }

  /** A place that stays, or undefined where there is no room for it. */
  allocate(bytes: number): number | undefined {
    return this.#end + bytes <= RESIDENT_BYTES ? this.#take(bytes) : undefined;
  }

  /** The place of what is overwritten by the next call, at least `bytes` long. */
  scratch(name: string, bytes: number): number {
    const known = this.#scratch.get(name);
    if (known && known.bytes >= bytes) return known.start;
    const start = this.#take(bytes);
    this.#scratch.set(name, { start, bytes });
    return start;
  }

  #take(bytes: number): number {
    const start = this.#end;
    this.#end = start + Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    const { memory } = this.kernel;
    const missing = Math.ceil((this.#end - memory.buffer.byteLength) / PAGE_BYTES);
    if (missing > 0) {
      memory.grow(missing);
      this.#floats = new Float32Array(memory.buffer);
    }
    return start;
  }
}

export function wasmBytes(): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(moduleBytes, "base64"));
}
