import type { ModelFolder } from "../folder.js";
import type { LinearSpec } from "../tensor-layout.js";
import type { WriteModelOptions } from "./write-model.js";

/** Most sections that a matrix has; each may come with padding. */
const SECTIONS = 5;

/** More than dtype, shape, offsets and punctuation of an entry need, and the longest name of a section. */
const ENTRY_BYTES = 256;

/** More than the metadata of a matrix needs, apart from its name. */
const DESCRIPTION_BYTES = 640;

/**
 * Bytes that no header of the written files exceeds, however the matrices turn out: sizes of sections are known only once they have been written, and by
 * then the place of the data must be fixed. Well below 1 % of a real model.
 */
export function headerRoom(
  { tensors, matrices, bitmasks }: ModelFolder,
  specs: ReadonlyMap<string, LinearSpec>,
  { form, provenance }: Pick<WriteModelOptions, "form" | "provenance">,
): number {
  const files = [...tensors.values(), ...matrices.values()].map(({ file }) => file.metadata);
  // JSON inside JSON: what is quoted is counted as it stands in the file.
  let room = jsonBytes(JSON.stringify(provenance)) + jsonBytes(files[0] ?? {}) + 1024;
  for (const name of [...tensors.keys(), ...matrices.keys(), ...bitmasks.keys()]) {
    const entry = jsonBytes(name) + ENTRY_BYTES;
    const quoted = jsonBytes(JSON.stringify(name));
    if (!specs.has(name)) room += 2 * entry;
    else if (form === "plain") room += entry + quoted + 1;
    else room += 2 * SECTIONS * entry + quoted + DESCRIPTION_BYTES;
  }
  // Biases that matrices may bring.
  for (const [name, { bias }] of specs) if (bias === undefined) room += 3 * jsonBytes(name) + ENTRY_BYTES;
  return room;
}

function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
