import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Comparison, compareElements, type Fixture, type FixtureTensor, WinnowError } from "@winnow/core";

/** A fixture with the rules that its file carries for comparing outputs. */
export interface RecordedFixture extends Fixture {
  readonly compare: ReadonlyMap<string, Comparison>;
}

interface Header {
  readonly [name: string]: {
    readonly dtype: string;
    readonly shape: readonly number[];
    readonly data_offsets: readonly [number, number];
  };
}

/** Reads a fixture: a safetensors file of F32, I32 and U8 tensors whose metadata names method, case, kind, params and compare. Throws `ERR_FIXTURE`. */
export function readFixture(path: string): RecordedFixture {
  try {
    return parseFixture(readFileSync(path));
  } catch (cause) {
    throw new WinnowError("ERR_FIXTURE", `Cannot read the fixture ${path}: ${(cause as Error).message}`, { cause });
  }
}

function parseFixture(file: Buffer): RecordedFixture {
  if (file.length < 8) throw new Error("it is shorter than a safetensors header");
  const headerBytes = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, 8 + headerBytes)) as Record<string, unknown>;
  const metadata = header.__metadata__ as Record<string, string>;
  delete header.__metadata__;
  const tensors = new Map<string, FixtureTensor>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header as Header)) {
    const [start, end] = data_offsets;
    tensors.set(name, { shape, data: typedArray(name, dtype, file, 8 + headerBytes + start, end - start) });
  }
  return {
    method: metadata.method,
    name: metadata.case,
    kind: metadata.kind,
    params: JSON.parse(metadata.params),
    tensors,
    compare: new Map(Object.entries(JSON.parse(metadata.compare) as Record<string, Comparison>)),
  };
}

function typedArray(name: string, dtype: string, file: Buffer, start: number, length: number): FixtureTensor["data"] {
  if (start + length > file.length) throw new Error(`tensor ${name} ends beyond the file`);
  // Copied, because a tensor may start at any byte and typed arrays need alignment.
  const bytes = new Uint8Array(file.subarray(start, start + length));
  if (dtype === "F32") return new Float32Array(bytes.buffer);
  if (dtype === "I32") return new Int32Array(bytes.buffer);
  if (dtype === "U8") return bytes;
  throw new Error(`tensor ${name} has dtype ${dtype}, expected F32, I32 or U8`);
}

/**
 * Compares what a runner returned with what the reference produced. Every tensor with a comparison rule must be there, and nothing that the
 * fixture does not hold. Throws an `Error` that names tensor, place, both values and the bound.
 */
export function expectFixture(fixture: RecordedFixture, outputs: Readonly<Record<string, ArrayLike<number>>>): void {
  const title = `${fixture.method}/${fixture.name}`;
  for (const name of Object.keys(outputs))
    if (!fixture.tensors.has(name))
      throw new Error(`${title}: ${name} was returned, but the fixture has no such tensor`);
  for (const [name, comparison] of fixture.compare) {
    const actual = outputs[name];
    if (!actual) throw new Error(`${title}: ${name} must be compared, but was not returned`);
    expectTensor(`${title} ${name}`, actual, fixture.tensors.get(name)!.data, comparison);
  }
}

function expectTensor(
  title: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  comparison: Comparison,
): void {
  if (actual.length !== expected.length)
    throw new Error(`${title}: ${actual.length} elements, expected ${expected.length}`);
  const { passed, misses, allowed, first } = compareElements(actual, expected, comparison);
  if (passed || !first) return;
  throw new Error(
    `${title}: ${misses} of ${expected.length} elements differ (${allowed} may); first: element ${first.index} is ${first.actual}, expected ${first.expected} within ${first.bound}`,
  );
}

/**
 * Files of a method's fixtures: those bundled with the plugin, and the full recorded set where it is there: the folder in the environment
 * variable `WINNOW_GOLDEN`, or a `shared/golden` beside the repository. Full files stand in one folder per group and start with `<method>.`.
 */
export function fixtureFiles(method: string, bundledFolder: string): string[] {
  const bundled = filesOf(bundledFolder, method);
  const golden = process.env.WINNOW_GOLDEN ?? findUpwards(bundledFolder, join("shared", "golden"));
  if (!golden || !existsSync(golden)) return bundled;
  const groups = readdirSync(golden, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [...bundled, ...groups.flatMap((group) => filesOf(join(golden, group.name), method))];
}

function filesOf(folder: string, method: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.startsWith(`${method}.`) && name.endsWith(".safetensors"))
    .sort()
    .map((name) => join(folder, name));
}

function findUpwards(from: string, wanted: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, wanted);
    if (existsSync(candidate)) return candidate;
    if (dirname(folder) === folder) return undefined;
  }
}
