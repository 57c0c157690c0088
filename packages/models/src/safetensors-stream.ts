import { closeSync, fsyncSync, openSync } from "node:fs";
import type { TensorDtype } from "./safetensors-dtype.js";
import { headerBytes, type TensorPlace, writeFully } from "./safetensors-write.js";

/** Start of each tensor in the file: cache lines, vectors and direct input all like it. */
const ALIGNMENT = 64;

/**
 * A safetensors file whose tensors come one after another, their number and sizes unknown until they do. Room for the header is set aside at
 * the start; what it does not need stays as spaces, which the format allows. The file is no safetensors file before `finish`.
 */
export class SafetensorsStream {
  readonly places: TensorPlace[] = [];
  private readonly fd: number;
  private readonly dataStart: number;
  private position = 0;

  constructor(path: string, headerRoom: number) {
    this.dataStart = alignedUp(8 + headerRoom);
    this.fd = openSync(path, "wx");
  }

  /** Bytes of all tensors so far. */
  get dataBytes(): number {
    return this.position;
  }

  add(name: string, dtype: TensorDtype, shape: readonly number[], bytes: Uint8Array): void {
    writeFully(this.fd, bytes, this.dataStart + this.position);
    this.places.push({ name, dtype, shape, begin: this.position, byteLength: bytes.byteLength });
    this.position += bytes.byteLength;
  }

  /** Lets the next tensor start at a multiple of 64 bytes. The format forbids holes, so the space is a tensor itself. */
  align(paddingName: string): void {
    const padding = alignedUp(this.position) - this.position;
    if (padding > 0) this.add(paddingName, "U8", [padding], new Uint8Array(padding));
  }

  finish(metadata: Readonly<Record<string, string>>): void {
    writeFully(this.fd, headerBytes(this.places, metadata, this.dataStart), 0);
    fsyncSync(this.fd);
    this.close();
  }

  close(): void {
    closeSync(this.fd);
  }
}

function alignedUp(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
