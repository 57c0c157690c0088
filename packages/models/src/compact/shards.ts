import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { INDEX, WEIGHTS } from "../folder.js";
import type { TensorDtype } from "../safetensors-dtype.js";
import { SafetensorsStream } from "../safetensors-stream.js";

export interface TensorBytes {
  readonly name: string;
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

export interface ShardOptions {
  readonly folder: string;
  /** Bytes of tensors in one file; a larger group gets a file of its own. */
  readonly limit: number;
  readonly headerRoom: number;
  /** Tensors start at multiples of 64 bytes. */
  readonly aligned: boolean;
  /** Metadata of a file that holds the given groups. */
  readonly metadata: (groups: readonly string[]) => Record<string, string>;
}

/** Writes groups of tensors into model.safetensors or, beyond the limit, into numbered files with an index. A group is never divided. */
export class ShardWriter {
  private readonly weightMap: [string, number][] = [];
  private stream: SafetensorsStream | undefined;
  private groups: string[] = [];
  private shards = 0;
  private paddings = 0;
  private totalBytes = 0;

  constructor(private readonly options: ShardOptions) {}

  addGroup(name: string, tensors: readonly TensorBytes[]): void {
    const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes.byteLength, 0);
    if (this.stream && this.stream.dataBytes > 0 && this.stream.dataBytes + bytes > this.options.limit) this.endShard();
    this.stream ??= new SafetensorsStream(this.temporaryPath(this.shards), this.options.headerRoom);
    for (const tensor of tensors) {
      if (this.options.aligned) this.stream.align(`winnow.padding.${this.paddings++}`);
      this.stream.add(tensor.name, tensor.dtype, tensor.shape, tensor.bytes);
    }
    this.groups.push(name);
    this.totalBytes += bytes;
  }

  /** Completes all files and gives them their names. Returns the bytes of all tensors. */
  finish(): number {
    this.endShard();
    if (this.shards === 1) renameSync(this.temporaryPath(0), join(this.options.folder, WEIGHTS));
    else this.writeIndex();
    return this.totalBytes;
  }

  /** Lets go of the file that is being written. */
  close(): void {
    this.stream?.close();
    this.stream = undefined;
  }

  private endShard(): void {
    if (!this.stream) return;
    const { stream } = this;
    stream.finish(this.options.metadata(this.groups));
    this.stream = undefined;
    for (const { name } of stream.places) this.weightMap.push([name, this.shards]);
    this.groups = [];
    this.shards++;
  }

  private writeIndex(): void {
    const digits = (n: number) => String(n).padStart(5, "0");
    const nameOf = (shard: number) => `model-${digits(shard + 1)}-of-${digits(this.shards)}.safetensors`;
    for (let shard = 0; shard < this.shards; shard++) {
      renameSync(this.temporaryPath(shard), join(this.options.folder, nameOf(shard)));
    }
    const index = {
      metadata: { total_size: this.totalBytes },
      weight_map: Object.fromEntries(this.weightMap.map(([name, shard]) => [name, nameOf(shard)])),
    };
    writeFileSync(join(this.options.folder, INDEX), `${JSON.stringify(index, null, 2)}\n`);
  }

  private temporaryPath(shard: number): string {
    return join(this.options.folder, `shard-${shard}.tmp`);
  }
}
