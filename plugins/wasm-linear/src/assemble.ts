/**
 * Assembles the part of the WebAssembly text format that `kernel.wat` uses: one memory, functions with named locals, instructions one after the other
 * (not folded). Opcodes and encodings: WebAssembly core specification 2.0, sections 5.3 to 5.5. Throws an `Error` that names what it does not know.
 */
export function assemble(source: string): Uint8Array {
  const [module] = parse(source);
  if (!Array.isArray(module) || module[0] !== "module") throw new Error("expected (module ...)");
  const fields = module.slice(1) as Field[];
  const functions = fields.filter(([kind]) => kind === "func").map(readFunction);
  const [memory] = fields.filter(([kind]) => kind === "memory");
  const names = functions.map(({ name }) => name);
  const exported = functions.flatMap(({ exportName }, index) =>
    exportName === undefined ? [] : [[...text(exportName), 0, ...unsigned(index)]],
  );
  const header = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  return Uint8Array.from([
    ...header,
    ...section(1, functions.map(signature)),
    ...section(
      3,
      functions.map((_, index) => unsigned(index)),
    ),
    ...section(5, [[0, ...unsigned(Number(memory[2]))]]),
    ...section(7, [[...text(exportOf(memory)!), 2, 0], ...exported]),
    ...section(
      10,
      functions.map((definition) => code(definition, names)),
    ),
  ]);
}

type Node = string | Node[];
type Field = Node[];

interface FunctionText {
  readonly name: string | undefined;
  readonly exportName: string | undefined;
  readonly params: readonly Variable[];
  readonly locals: readonly Variable[];
  readonly results: readonly string[];
  readonly body: readonly string[];
}

interface Variable {
  readonly name: string;
  readonly type: string;
}

/** Nested lists of words. */
function parse(source: string): Node[] {
  const words = source.replace(/;;.*$/gm, "").match(/[()]|"[^"]*"|[^\s()]+/g) ?? [];
  const open: Node[][] = [[]];
  for (const word of words) {
    if (word === "(") open.push([]);
    else if (word === ")") open.at(-2)!.push(open.pop()!);
    else open.at(-1)!.push(word);
  }
  return open[0];
}

function readFunction(field: Field): FunctionText {
  const named = typeof field[1] === "string" && field[1].startsWith("$");
  const parts = (kind: string) => field.filter((part): part is string[] => Array.isArray(part) && part[0] === kind);
  const variable = ([, name, type]: string[]): Variable => ({ name, type });
  return {
    name: named ? (field[1] as string) : undefined,
    exportName: exportOf(field),
    params: parts("param").map(variable),
    locals: parts("local").map(variable),
    results: parts("result").map(([, type]) => type),
    body: field.slice(named ? 2 : 1).filter((part): part is string => typeof part === "string"),
  };
}

function exportOf(field: Field): string | undefined {
  const part = field.find((entry) => Array.isArray(entry) && entry[0] === "export");
  return part && (part[1] as string).slice(1, -1);
}

const types: Readonly<Record<string, number>> = { i32: 0x7f, f32: 0x7d, v128: 0x7b };

function signature({ params, results }: FunctionText): number[] {
  const list = (names: readonly string[]) => vector(names.map((name) => [types[name]]));
  return [0x60, ...list(params.map(({ type }) => type)), ...list(results)];
}

/** Instructions without operands of their own. */
const plain: Readonly<Record<string, readonly number[]>> = {
  end: [0x0b],
  "i32.lt_u": [0x49],
  "i32.add": [0x6a],
  "i32.sub": [0x6b],
  "f32.add": [0x92],
  "f32x4.add": [0xfd, 0xe4, 0x01],
  "f32x4.mul": [0xfd, 0xe6, 0x01],
};
const ofLocals: Readonly<Record<string, number>> = { "local.get": 0x20, "local.set": 0x21, "local.tee": 0x22 };
/** Opcode, then the logarithm of the alignment. */
const ofMemory: Readonly<Record<string, readonly number[]>> = { "v128.load": [0xfd, 0x00, 4], "f32.store": [0x38, 2] };

function code({ params, locals, body }: FunctionText, functionNames: readonly (string | undefined)[]): number[] {
  const variables = [...params, ...locals].map(({ name }) => name);
  const labels: string[] = [];
  const words = [...body];
  const next = () => words.shift()!;
  const place = (list: readonly (string | undefined)[], name: string) => {
    const index = list.lastIndexOf(name);
    if (index < 0) throw new Error(`unknown name ${name}`);
    return index;
  };
  const bytes: number[] = [];
  while (words.length > 0) {
    const word = next();
    if (word === "end") labels.pop();
    if (word in plain) bytes.push(...plain[word]);
    else if (word in ofLocals) bytes.push(ofLocals[word], ...unsigned(place(variables, next())));
    else if (word in ofMemory) {
      const offset = words[0]?.startsWith("offset=") ? Number(next().slice("offset=".length)) : 0;
      bytes.push(...ofMemory[word], ...unsigned(offset));
    } else if (word === "loop") {
      labels.push(next());
      bytes.push(0x03, 0x40);
    } else if (word === "br_if") bytes.push(0x0d, ...unsigned(labels.length - 1 - place(labels, next())));
    else if (word === "call") bytes.push(0x10, ...unsigned(place(functionNames, next())));
    else if (word === "i32.const") bytes.push(0x41, ...signed(Number(next())));
    else if (word === "f32x4.extract_lane") bytes.push(0xfd, 0x1f, Number(next()));
    else if (word === "v128.const") bytes.push(0xfd, 0x0c, ...lanes(words.splice(0, 5)));
    else throw new Error(`unknown instruction ${word}`);
  }
  const declared = vector(locals.map(({ type }) => [1, types[type]]));
  const content = [...declared, ...bytes, 0x0b];
  return [...unsigned(content.length), ...content];
}

function lanes([shape, ...values]: string[]): number[] {
  if (shape !== "i32x4") throw new Error(`unknown shape ${shape}`);
  return [...new Uint8Array(Int32Array.from(values, Number).buffer)];
}

function section(id: number, entries: readonly (readonly number[])[]): number[] {
  const content = vector(entries);
  return [id, ...unsigned(content.length), ...content];
}

function vector(entries: readonly (readonly number[])[]): number[] {
  return [...unsigned(entries.length), ...entries.flat()];
}

function text(value: string): number[] {
  const bytes = new TextEncoder().encode(value);
  return [...unsigned(bytes.length), ...bytes];
}

/** LEB128, seven bits a byte. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: number): number[] {
  const low = value & 0x7f;
  const rest = value >> 7;
  const isLast = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0);
  return isLast ? [low] : [low | 0x80, ...signed(rest)];
}
