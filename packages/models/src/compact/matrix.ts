import { WinnowError } from "@winnow/core";
import type { JsonObject } from "../json.js";
import { readTensor, type SafetensorsFile } from "../safetensors.js";
import { type TensorData, viewTensor } from "../safetensors-dtype.js";
import type { TensorEntry } from "../safetensors-entries.js";
import { readBlock } from "./block.js";
import { checkContent } from "./content.js";
import { type CompactWeight, type MatrixDescription, type Section, sectionsOf } from "./description.js";
import { weightOf } from "./parts.js";

/** A matrix in compact form and the file that holds its sections. */
export interface CompactMatrix {
  /** Name of the plain tensor that it replaces. */
  readonly name: string;
  readonly file: SafetensorsFile;
  readonly description: MatrixDescription;
  /** By name without the matrix's. */
  readonly sections: ReadonlyMap<string, TensorEntry>;
}

/** Fills the space between sections, so that each starts at a multiple of 64 bytes. */
export const PADDING = /^winnow\.padding\.\d+$/;

export interface FileContent {
  readonly matrices: readonly CompactMatrix[];
  /** Tensors that are no sections. */
  readonly plain: readonly TensorEntry[];
  /** Names of plain tensors that are biases which config.json does not announce. */
  readonly biases: readonly string[];
  readonly provenance?: JsonObject;
}

/**
 * Splits the tensors of a file into compact matrices, each with exactly the sections of its format, and plain tensors.
 * Errors: `ERR_MODEL_FILE` for the metadata, `ERR_MODEL_TENSOR` for a section that is missing or of the wrong type or shape.
 */
export function splitFile(file: SafetensorsFile): FileContent {
  const block = readBlock(file);
  const origin = block && { provenance: block.provenance };
  if (block?.form !== "sparse") return { matrices: [], plain: [...file.tensors.values()], biases: [], ...origin };
  const matrices = Object.entries(block.matrices).map(([name, description]) => findSections(file, name, description));
  const biases = block.biases ?? [];
  for (const name of biases) {
    if (!file.tensors.has(name)) throw matrixError(file, name, "the metadata lists it as a bias, but it is missing");
  }
  const used = new Set(matrices.flatMap(({ sections }) => [...sections.values()].map((entry) => entry.name)));
  const plain = [...file.tensors.values()].filter(({ name }) => !used.has(name) && !PADDING.test(name));
  return { matrices, plain, biases, ...origin };
}

function findSections(file: SafetensorsFile, name: string, description: MatrixDescription): CompactMatrix {
  const sections = sectionsOf(description).map((section): [string, TensorEntry] => {
    const entry = file.tensors.get(`${name}.${section.part}`);
    if (!entry) {
      throw matrixError(
        file,
        name,
        `format ${description.format} needs the tensor "${name}.${section.part}", which is missing`,
      );
    }
    checkSection(file, entry, section);
    return [section.part, entry];
  });
  return { name, file, description, sections: new Map(sections) };
}

function checkSection(file: SafetensorsFile, entry: TensorEntry, { dtype, shape }: Section): void {
  const fits =
    entry.dtype === dtype &&
    entry.shape.length === shape.length &&
    shape.every((size, axis) => size === null || size === entry.shape[axis]);
  if (fits) return;
  const expected = shape.map((size) => size ?? "any").join(", ");
  throw matrixError(
    file,
    entry.name,
    `it must be ${dtype} of shape [${expected}] according to the metadata, got ${entry.dtype} of shape [${entry.shape.join(", ")}]`,
  );
}

/**
 * Reads a matrix into shared memory as it stands, and checks it. Cost: its bytes, then O(stored weights).
 * Errors: `ERR_MODEL_TENSOR` for numbers that contradict each other or are not finite, `ERR_MODEL_FILE` for reading.
 */
export function readMatrix(matrix: CompactMatrix, bias?: Float32Array): CompactWeight {
  const parts = new Map<string, TensorData>();
  for (const [part, entry] of matrix.sections) {
    const bytes = new Uint8Array(new SharedArrayBuffer(entry.byteLength));
    parts.set(part, viewTensor(entry.dtype, readTensor(matrix.file, entry, bytes)));
  }
  checkContent(matrix.description, parts, (part, problem) => {
    throw matrixError(matrix.file, `${matrix.name}.${part}`, problem);
  });
  return weightOf(matrix.description, parts, bias);
}

function matrixError(file: SafetensorsFile, name: string, problem: string): WinnowError {
  return new WinnowError(
    "ERR_MODEL_TENSOR",
    `Cannot use tensor "${name}" of "${file.path}": ${problem}. The file is damaged; download or write the model again.`,
  );
}
