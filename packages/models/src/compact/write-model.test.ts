import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type LinearWeight, toBf16 } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { afterAll, describe, expect, it } from "vitest";
import { fromF16 } from "../float-convert.js";
import { openModelFolder } from "../folder.js";
import { linearSpecs } from "../tensor-layout.js";
import { type LayerWeights, type LinearRole, loadWeights } from "../weights.js";
import { bytesIn, makeModel, modelConfig, parseFile } from "./model-fixture.js";
import { decodeWeight, examples } from "./oracle.js";
import { type WriteModelOptions, writeModel } from "./write-model.js";

const root = mkdtempSync(join(tmpdir(), "winnow-write-"));
afterAll(() => rmSync(root, { recursive: true }));

const source = makeModel(root);
const UP = "model.layers.1.mlp.up_proj.weight";
const Q = "model.layers.0.self_attn.q_proj.weight";
const provenance = { method: "by hand", sparsity: 0.5 };
const operations = { decodeWeight };
const weights = (folder: string) => join(folder, "model.safetensors");

let outputs = 0;
/** A fresh parent folder, so that a test sees everything that is left beside the model. */
function newOutput(): { parent: string; out: string } {
  const parent = join(root, `out-${outputs++}`);
  mkdirSync(parent);
  return { parent, out: join(parent, "model") };
}

function write(out: string, matrices: Parameters<typeof writeModel>[2], options: Partial<WriteModelOptions> = {}) {
  return writeModel(out, source, matrices, { form: "sparse", provenance, operations, ...options });
}

const up = (name: string): LinearWeight => examples[name](33, 20).weight;
const failure = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe("writeModel with form sparse", () => {
  it.each(Object.keys(examples))(
    "writeModel, then loadWeights gives the same bits in shared memory: %s",
    async (name) => {
      const { out } = newOutput();
      const matrices = new Map<string, LinearWeight>();
      for (const { weight, outFeatures, inFeatures } of linearSpecs(modelConfig).values())
        matrices.set(weight, examples[name](outFeatures, inFeatures).weight);
      await write(out, matrices);
      const loaded = loadWeights(openModelFolder(out), modelConfig, createReference(), { precision: "bf16" });
      const plain = loadWeights(source, modelConfig, createReference(), { precision: "bf16" });
      expect(plain.layers[0].q.bias).toHaveLength(20);
      for (const [layer, layerWeights] of loaded.layers.entries()) {
        for (const role of ["q", "k", "v", "o", "gate", "up", "down"] as LinearRole[]) {
          const { bias } = plain.layers[layer][role];
          const { outFeatures, inFeatures } = layerWeights[role];
          expect(layerWeights[role]).toEqual(examples[name](outFeatures, inFeatures, bias).weight);
        }
      }
      expect(loaded.head).toEqual(examples[name](7, 20).weight);
      expect(buffersOf(loaded.layers[0]).every((buffer) => buffer instanceof SharedArrayBuffer)).toBe(true);
      expect(loaded.embedding).toEqual(plain.embedding);
    },
  );

  it("writeModel stores sections as documented: 64-byte aligned, with types, shapes and metadata of their own", async () => {
    const { out } = newOutput();
    await write(out, new Map([[UP, up("bitmap int8")]]));
    const { metadata, entries, dataStart } = parseFile(weights(out));
    const shapes = Object.entries(entries)
      .filter(([name]) => name.startsWith(UP))
      .map(([name, { dtype, shape }]) => [name.slice(UP.length), dtype, shape]);
    const stored = decodeWeight(up("bitmap int8")).data.filter((w) => w !== 0).length;
    expect(shapes).toEqual([
      [".bitmap", "U32", [30]],
      [".values", "I8", [stored + 64]],
      [".offsets", "U32", [4]],
      [".scales", "F32", [33]],
      [".sums", "I32", [33]],
    ]);
    for (const [name, { data_offsets }] of Object.entries(entries))
      if (name.startsWith("model.")) expect((dataStart + data_offsets[0]) % 64).toBe(0);
    const { formatVersion, form, matrices, provenance: told } = JSON.parse(metadata.winnow);
    expect({ formatVersion, form, told }).toEqual({ formatVersion: 1, form: "sparse", told: provenance });
    expect(matrices).toEqual({
      [UP]: { format: "bitmap", dtype: "int8", outFeatures: 33, inFeatures: 20, replaces: "BF16" },
    });
    expect(metadata).toMatchObject({ format: "winnow", made: "here" });
    expect(openModelFolder(out).provenance).toEqual(provenance);
  });

  it("writeModel carries untouched tensors and the files of config and tokenizer along byte for byte", async () => {
    const { out } = newOutput();
    await write(out, new Map([[UP, up("bitmap bf16")]]));
    for (const name of source.tensors.keys())
      if (name !== UP) expect(bytesIn(weights(out), name).equals(bytesIn(weights(source.path), name))).toBe(true);
    for (const name of ["config.json", "tokenizer.json", "generation_config.json"])
      expect(readFileSync(join(out, name))).toEqual(readFileSync(join(source.path, name)));
    expect(readdirSync(out)).not.toContain("notes.bin");
  });

  it("writeModel takes a compact model as source: what is not replaced stays as it is, in either form", async () => {
    const first = newOutput().out;
    const { out: second } = newOutput();
    const { out: plain } = newOutput();
    await write(first, new Map([[UP, up("groups 2:4")]]));
    const options = { form: "sparse", provenance, operations } as const;
    await writeModel(second, openModelFolder(first), new Map([[Q, examples["bitmap bf16"](20, 20).weight]]), options);
    expect([...openModelFolder(second).matrices.keys()].sort()).toEqual([Q, UP].sort());
    for (const part of ["values", "places"])
      expect(bytesIn(weights(second), `${UP}.${part}`)).toEqual(bytesIn(weights(first), `${UP}.${part}`));
    await writeModel(plain, openModelFolder(second), new Map(), { ...options, form: "plain" });
    expect(openModelFolder(plain).matrices.size).toBe(0);
    const expected = Uint16Array.from(examples["groups 2:4"](33, 20).numbers.flat(), toBf16);
    expect(bytesIn(weights(plain), UP)).toEqual(Buffer.from(expected.buffer));
  });

  it("writeModel asks a function for one layer after the other", async () => {
    const { out } = newOutput();
    const asked: number[] = [];
    const { replaced } = await write(out, async (layer) => {
      asked.push(layer);
      return new Map(layer === 1 ? [[UP, up("groups 2:4")]] : []);
    });
    expect(asked).toEqual([0, 1]);
    expect(replaced).toEqual([UP]);
    expect(openModelFolder(out).matrices.get(UP)?.description.format).toBe("groups");
  });

  it("writeModel splits a model beyond shardBytes into shards, sections of a matrix together", async () => {
    const { out } = newOutput();
    const matrices = new Map([
      [UP, up("bitmap bf16")],
      [Q, examples["int8-panel16"](20, 20).weight],
    ]);
    await write(out, matrices, { shardBytes: 4000 });
    const shards = readdirSync(out).filter((name) => /^model-\d{5}-of-\d{5}\.safetensors$/.test(name));
    expect(shards.length).toBeGreaterThan(2);
    expect(shards).toContain(`model-00001-of-0000${shards.length}.safetensors`);
    const folder = openModelFolder(out);
    expect([...folder.matrices.keys()].sort()).toEqual([Q, UP].sort());
    expect(folder.tensors.size).toBe(source.tensors.size - 2);
    const loaded = loadWeights(folder, modelConfig, createReference(), { precision: "bf16" });
    expect(loaded.layers[1].up).toEqual(up("bitmap bf16"));
  });

  it("writeModel replaces a model folder with overwrite, through a link too, and leaves nothing beside it", async () => {
    const { parent, out } = newOutput();
    await write(out, new Map());
    symlinkSync("model", join(parent, "link"));
    await write(join(parent, "link"), new Map([[UP, up("groups 2:4")]]), { overwrite: true });
    expect(readdirSync(parent).sort()).toEqual(["link", "model"]);
    expect(openModelFolder(out).matrices.has(UP)).toBe(true);
  });
});

describe("writeModel with form plain", () => {
  it.each(["bitmap bf16", "bitmap int8", "groups 2:4", "int8-panel16"])(
    "writeModel writes %s as an ordinary tensor with zeros, in the model's own type",
    async (name) => {
      const { out } = newOutput();
      await write(out, new Map([[UP, up(name)]]), { form: "plain" });
      const { entries } = parseFile(weights(out));
      expect(entries[UP]).toMatchObject({ dtype: "BF16", shape: [33, 20] });
      const expected = Uint16Array.from(examples[name](33, 20).numbers.flat(), toBf16);
      expect(bytesIn(weights(out), UP)).toEqual(Buffer.from(expected.buffer));
    },
  );

  it("writeModel follows the rules of safetensors: same names as the source, no holes, aligned, header of JSON and spaces", async () => {
    const { out } = newOutput();
    await write(out, new Map([[UP, up("bitmap bf16")]]), { form: "plain" });
    const { metadata, entries, dataStart, bytes } = parseFile(weights(out));
    expect(Object.keys(entries).sort()).toEqual([...source.tensors.keys()].sort());
    expect(metadata.format).toBe("pt");
    expect(JSON.parse(metadata.winnow)).toEqual({ formatVersion: 1, form: "plain", matrices: [UP], provenance });
    expect(bytes[8]).toBe("{".charCodeAt(0));
    let position = 0;
    for (const { dtype, shape, data_offsets } of Object.values(entries)) {
      expect(data_offsets[0]).toBe(position);
      position = data_offsets[1];
      expect(dtype).toBe("BF16");
      expect(position - data_offsets[0]).toBe(2 * shape.reduce((product, size) => product * size, 1));
    }
    expect(dataStart + position).toBe(bytes.length);
  });

  it("writeModel keeps every untouched tensor byte for byte and loads as a plain model", async () => {
    const { out } = newOutput();
    await write(out, new Map([[UP, up("bitmap bf16")]]), { form: "plain" });
    for (const name of source.tensors.keys())
      if (name !== UP) expect(bytesIn(weights(out), name).equals(bytesIn(weights(source.path), name))).toBe(true);
    const loaded = loadWeights(openModelFolder(out), modelConfig, createReference(), { precision: "f32" });
    expect([...decodeWeight(loaded.layers[1].up).data]).toEqual(examples["bitmap bf16"](33, 20).numbers.flat());
  });

  it("writeModel rounds a dense float32 matrix to the model's type in either form", async () => {
    const dense = { format: "dense", dtype: "f32", outFeatures: 33, inFeatures: 20 } as const;
    const data = Float32Array.from({ length: 660 }, (_, e) => (e % 3 ? e / 7 : 0));
    for (const form of ["plain", "sparse"] as const) {
      const { out } = newOutput();
      await write(out, new Map([[UP, { ...dense, data }]]), { form });
      expect(bytesIn(weights(out), UP)).toEqual(Buffer.from(Uint16Array.from(data, toBf16).buffer));
    }
  });

  it("writeModel writes float16 models in float16", async () => {
    const { out } = newOutput();
    const { out: next } = newOutput();
    await write(out, new Map(), { form: "plain" });
    const bytes = readFileSync(weights(out));
    // Same length, other type: the BF16 bits of the fixture are finite float16 numbers too.
    const text = bytes.toString("latin1").replaceAll('"dtype":"BF16"', '"dtype":"F16" ');
    writeFileSync(weights(out), Buffer.from(text, "latin1"));
    const { weight, numbers } = examples["bitmap bf16"](33, 20);
    const options = { form: "plain", provenance, operations } as const;
    await writeModel(next, openModelFolder(out), new Map([[UP, weight]]), options);
    const written = new Uint16Array(new Uint8Array(bytesIn(weights(next), UP)).buffer);
    expect([...written].map(fromF16)).toEqual(numbers.flat());
  });

  it.each(["channels f32 with thresholds", "gated-rows bf16"])(
    "writeModel refuses %s and leaves nothing",
    async (name) => {
      const { parent, out } = newOutput();
      await expect(write(out, new Map([[UP, up(name)]]), { form: "plain" })).rejects.toThrow(
        failure("ERR_WEIGHT_FORMAT", /up_proj.*has no plain form; use form: sparse/),
      );
      expect(readdirSync(parent)).toEqual([]);
    },
  );
});

describe("writeModel leaves nothing and keeps what was there", () => {
  it("writeModel stops when the signal is aborted in the middle", async () => {
    const { parent, out } = newOutput();
    await write(out, new Map([[UP, up("groups 2:4")]]));
    const before = readFileSync(weights(out));
    const interrupt = new AbortController();
    const onProgress = (share: number) => share > 0.5 && interrupt.abort();
    const matrices = new Map([[UP, up("bitmap bf16")]]);
    await expect(write(out, matrices, { overwrite: true, signal: interrupt.signal, onProgress })).rejects.toThrow(
      failure("ERR_CANCELLED", /nothing was written/),
    );
    expect(readdirSync(parent)).toEqual(["model"]);
    expect(readFileSync(weights(out)).equals(before)).toBe(true);
  });

  it("writeModel passes on an error of the function that gives matrices", async () => {
    const { parent, out } = newOutput();
    const broken = (layer: number) => {
      if (layer === 1) throw new RangeError("out of luck");
      return new Map();
    };
    await expect(write(out, broken)).rejects.toThrow(RangeError);
    expect(readdirSync(parent)).toEqual([]);
  });

  it.skipIf(process.platform === "win32")(
    "writeModel reports ERR_OUTPUT_FILE when the file system takes no more bytes",
    () => {
      const { parent, out } = newOutput();
      const dist = fileURLToPath(new URL("../../dist/index.js", import.meta.url));
      const script = `
      import { openModelFolder, writeModel } from ${JSON.stringify(dist)};
      const source = openModelFolder(${JSON.stringify(source.path)});
      await writeModel(${JSON.stringify(out)}, source, new Map(), { form: "plain", provenance: {}, operations: {} })
        .catch((error) => console.log(error.code));`;
      const limited = 'ulimit -f 8; exec "$0" --input-type=module -e "$1"';
      const { stdout } = spawnSync("bash", ["-c", limited, process.execPath, script], { encoding: "utf8" });
      expect(stdout).toBe("ERR_OUTPUT_FILE\n");
      expect(readdirSync(parent)).toEqual([]);
    },
  );

  it.each<[string, (out: string) => string, Partial<WriteModelOptions>, RegExp]>([
    ["a folder that is not empty", (out) => fill(out, "config.json"), {}, /not empty.*allow overwriting/],
    ["a folder that is no model", (out) => fill(out, "thesis.txt"), { overwrite: true }, /not a model folder/],
    ["a file", (out) => join(fill(out, "file"), "file"), { overwrite: true }, /it is a file/],
    ["a place under a file", (out) => join(fill(out, "file"), "file", "model"), {}, /Check the folder/],
    ["the source", () => source.path, { overwrite: true }, /holds the model that is being read/],
  ])("writeModel refuses %s as output", async (_what, make, options, message) => {
    const out = make(newOutput().out);
    await expect(write(out, new Map(), options)).rejects.toThrow(failure("ERR_OUTPUT_FILE", message));
  });

  it.each<[string, () => Map<string, LinearWeight>, RegExp]>([
    [
      "a name that the model lacks",
      () => new Map([["model.layers.2.mlp.up_proj.weight", up("groups 2:4")]]),
      /no such matrix/,
    ],
    ["the embedding table", () => new Map([["model.embed_tokens.weight", up("groups 2:4")]]), /no such matrix/],
    ["another shape", () => new Map([[Q, up("groups 2:4")]]), /shape must be \[20, 20\], got \[33, 20\]/],
    [
      "a bias of another length",
      () => new Map([[Q, examples["groups 2:4"](20, 20, new Float32Array(19)).weight]]),
      /its bias must have 20 numbers, got 19/,
    ],
    [
      "a bias that is not finite",
      () => new Map([[UP, examples["groups 2:4"](33, 20, new Float32Array(33).fill(Number.NaN)).weight]]),
      /must be finite in BF16, but \[0, 0\]/,
    ],
    [
      "a bias of the head",
      () => new Map([["lm_head.weight", examples["groups 2:4"](7, 20, new Float32Array(7)).weight]]),
      /the head has none/,
    ],
    [
      "NaN",
      () => new Map([[UP, { ...up("gated-rows bf16"), data: new Uint16Array(660).fill(0x7fc0) } as LinearWeight]]),
      /data.*must be finite, but number 0/,
    ],
    [
      "values that contradict the bitmap",
      () => new Map([[UP, { ...up("bitmap bf16"), values: new Uint16Array(32) } as LinearWeight]]),
      /bitmap marks/,
    ],
    [
      "a dense matrix with infinity",
      () => new Map([[UP, { ...decodeWeight(up("groups 2:4")), data: new Float32Array(660).fill(1e39) }]]),
      /must be finite in BF16, but \[0, 0\]/,
    ],
  ])("writeModel refuses a matrix with %s", async (_what, make, message) => {
    const { parent, out } = newOutput();
    await expect(write(out, make())).rejects.toThrow(failure("ERR_WEIGHT_FORMAT", message));
    expect(readdirSync(parent)).toEqual([]);
  });
});

function fill(folder: string, name: string): string {
  mkdirSync(folder);
  writeFileSync(join(folder, name), "");
  return folder;
}

/** Buffers of all arrays of a layer, however deep. */
function buffersOf(value: LayerWeights | object): ArrayBufferLike[] {
  if (ArrayBuffer.isView(value)) return [value.buffer];
  return Object.values(value).flatMap((inner) => (typeof inner === "object" && inner ? buffersOf(inner) : []));
}
