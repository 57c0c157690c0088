import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LinearWeight, WinnowError } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { Seeded } from "@winnow/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openModelFolder } from "../folder.js";
import type { JsonObject } from "../json.js";
import { writeSafetensors } from "../safetensors-write.js";
import { loadWeights } from "../weights.js";
import { makeModel, modelConfig, modelJson, type ParsedFile, parseFile, withHeader } from "./model-fixture.js";
import { decodeWeight, examples } from "./oracle.js";
import { writeModel } from "./write-model.js";

const root = mkdtempSync(join(tmpdir(), "winnow-matrix-"));
afterAll(() => rmSync(root, { recursive: true }));

const prefix = "model.layers.0";
const matrices = new Map<string, LinearWeight>([
  [`${prefix}.self_attn.q_proj.weight`, examples["bitmap int8"](20, 20).weight],
  [`${prefix}.self_attn.k_proj.weight`, examples["int8-panel16"](10, 20).weight],
  [`${prefix}.mlp.gate_proj.weight`, examples["channels bf16 with low rank"](33, 20).weight],
  [`${prefix}.mlp.up_proj.weight`, examples["gated-rows bf16"](33, 20).weight],
  [`${prefix}.mlp.down_proj.weight`, examples["groups 2:4"](20, 33).weight],
]);
const Q = `${prefix}.self_attn.q_proj.weight`;
const GATE = `${prefix}.mlp.gate_proj.weight`;
const DOWN = `${prefix}.mlp.down_proj.weight`;
const EMBEDDING = "model.embed_tokens.weight";

let model: string;
beforeAll(async () => {
  model = join(root, "model");
  const options = { form: "sparse", provenance: {}, operations: { decodeWeight } } as const;
  await writeModel(model, makeModel(root), matrices, options);
});

const weights = (folder: string) => join(folder, "model.safetensors");

function copyOfModel(): string {
  const folder = mkdtempSync(join(root, "copy"));
  cpSync(model, folder, { recursive: true });
  return folder;
}

const load = (folder: string, precision: "f32" | "bf16" = "bf16") =>
  loadWeights(openModelFolder(folder), modelConfig, createReference(), { precision });

function editBlock(folder: string, edit: (block: JsonObject) => unknown): void {
  withHeader(weights(folder), ({ metadata }) => {
    const block = JSON.parse(metadata.winnow);
    metadata.winnow = JSON.stringify(edit(block) ?? block);
  });
}

const failure = (code: string, ...texts: RegExp[]) => {
  const message = new RegExp(texts.map(({ source }) => `(?=.*${source})`).join(""));
  return expect.objectContaining({ code, message: expect.stringMatching(message) });
};

describe("openModelFolder of a compact model", () => {
  it("openModelFolder separates matrices from plain tensors and hides padding", () => {
    const folder = openModelFolder(model);
    expect([...folder.matrices.keys()].sort()).toEqual([...matrices.keys()].sort());
    expect([...folder.tensors.keys()].some((name) => name.includes("padding") || matrices.has(name))).toBe(false);
    expect(parseFile(weights(model)).entries).toHaveProperty(["winnow.padding.1"]);
  });

  it("openModelFolder gives ERR_MODEL_FILE wherever the file was cut: in the header, at and beside every boundary of a section", () => {
    const folder = copyOfModel();
    const { entries, dataStart, bytes } = parseFile(weights(model));
    const boundaries = Object.values(entries).flatMap(({ data_offsets: [begin, end] }) => [begin, begin + 1, end - 1]);
    const lengths = [0, 7, 8, 9, 100, dataStart - 1, ...boundaries.map((offset) => dataStart + offset)];
    for (const length of new Set(lengths)) {
      writeFileSync(weights(folder), bytes.subarray(0, length));
      expect(() => openModelFolder(folder), `cut to ${length}`).toThrow(
        failure("ERR_MODEL_FILE", /model\.safetensors/),
      );
    }
  });

  it("loadWeights gives ERR_MODEL_FILE if the file is cut after it was opened", () => {
    const folder = copyOfModel();
    const opened = openModelFolder(folder);
    truncateSync(weights(folder), parseFile(weights(folder)).dataStart + 10);
    expect(() => loadWeights(opened, modelConfig, createReference(), { precision: "bf16" })).toThrow(
      failure("ERR_MODEL_FILE", /cut while being read/),
    );
  });

  it("openModelFolder says to update where the format is newer", () => {
    const folder = copyOfModel();
    editBlock(folder, () => ({ formatVersion: 3, form: "folded", matrices: 7 }));
    expect(() => openModelFolder(folder)).toThrow(
      failure(
        "ERR_MODEL_FILE",
        /model\.safetensors/,
        /format version is 3, this version of Winnow reads up to 2\. Update Winnow/,
      ),
    );
  });

  it.each<[string, (block: JsonObject) => unknown, RegExp]>([
    ["a list", () => [], /must be a JSON object, got \[\]/],
    ["no version", put(["formatVersion"], undefined), /"formatVersion".*got nothing/],
    ["version 0", put(["formatVersion"], 0), /"formatVersion".*at least 1, got 0/],
    ["another form", put(["form"], "x"), /form/],
    ["no provenance", put(["provenance"], undefined), /"provenance"/],
    ["a bias that is none by its name", put(["biases"], [EMBEDDING]), /"biases\.0".*ends with "\.bias", got/],
    ["matrices that are a list", put(["matrices"], []), /"matrices"/],
    ["an unknown format", put(["matrices", Q, "format"], "csr"), /q_proj/],
    ["an unknown type", put(["matrices", Q, "dtype"], "int4"), /q_proj.*int4/],
    ["a size of 0", put(["matrices", Q, "outFeatures"], 0), /q_proj\.weight\.outFeatures.*at least 1, got 0/],
    ["a size that is no integer", put(["matrices", Q, "inFeatures"], 2.5), /q_proj\.weight\.inFeatures.*2\.5/],
    ["groups of 3", put(["matrices", DOWN, "of"], 3), /down_proj\.weight\.of.*got 3/],
    ["an unknown rule", put(["matrices", GATE, "selection", "rule"], "all"), /gate_proj\.weight\.selection/],
    ["a key that no version knows", put(["matrices", GATE, "rotated"], true), /rotated/],
  ])("openModelFolder refuses metadata with %s", (_what, edit, message) => {
    const folder = copyOfModel();
    editBlock(folder, edit);
    expect(() => openModelFolder(folder)).toThrow(failure("ERR_MODEL_FILE", /model\.safetensors/, message));
  });

  it("openModelFolder refuses metadata that is not JSON", () => {
    const folder = copyOfModel();
    withHeader(weights(folder), ({ metadata }) => {
      metadata.winnow = "{";
    });
    expect(() => openModelFolder(folder)).toThrow(failure("ERR_MODEL_FILE", /"winnow" must be JSON/));
  });

  it.each<[string, (entries: ParsedFile["entries"]) => void, RegExp]>([
    [
      "a section that is missing",
      (h) => rename(h, `${Q}.sums`, "model.other"),
      /q_proj.*needs the tensor ".*\.sums", which is missing/,
    ],
    [
      "a section of another type",
      (h) => Object.assign(h[`${Q}.sums`], { dtype: "F32" }),
      /q_proj\.weight\.sums.*must be I32 of shape \[20\].*got F32/,
    ],
    [
      "a section of another shape",
      (h) => Object.assign(h[`${DOWN}.values`], { shape: [2, 2, 9, 16] }),
      /must be BF16 of shape \[2, 9, 2, 16\]/,
    ],
    ["a matrix that stands twice", (h) => rename(h, EMBEDDING, Q), /stands in it twice/],
  ])("openModelFolder refuses %s", (_what, edit, message) => {
    const folder = copyOfModel();
    withHeader(weights(folder), ({ entries }) => edit(entries));
    expect(() => openModelFolder(folder)).toThrow(failure("ERR_MODEL_TENSOR", message));
  });

  it("openModelFolder or loadWeights answers every change of one metadata character with a WinnowError or the model", () => {
    const folder = copyOfModel();
    const seeded = new Seeded(11);
    const text = parseFile(weights(model)).metadata.winnow;
    let refused = 0;
    for (let round = 0; round < 300; round++) {
      const place = Math.floor(seeded.uniform() * text.length);
      const character = '0123456789{}[]",:-eabfr '[Math.floor(seeded.uniform() * 24)];
      copyFileSync(weights(model), weights(folder));
      withHeader(weights(folder), ({ metadata }) => {
        metadata.winnow = text.slice(0, place) + character + text.slice(place + 1);
      });
      try {
        load(folder);
      } catch (error) {
        expect(error, `"${character}" at ${place}`).toBeInstanceOf(WinnowError);
        expect((error as WinnowError).code).toMatch(/^ERR_MODEL_(FILE|TENSOR)$/);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(200);
  });
});

describe("loadWeights of a compact model", () => {
  it("loadWeights refuses bitmap, groups and int8 matrices with precision f32", () => {
    expect(() => load(model, "f32")).toThrow(
      failure("ERR_PLAN_CONFLICT", /q_proj/, /bitmap int8/, /Set precision: bf16/),
    );
  });

  it("loadWeights takes channels and gated-rows with precision f32: they have a type of their own", async () => {
    const folder = join(root, "f32");
    const own = new Map([[GATE, examples["channels f32 with thresholds"](33, 20).weight]]);
    const options = { form: "sparse", provenance: {}, operations: { decodeWeight } } as const;
    await writeModel(folder, makeModel(root, "F32"), own, options);
    expect(load(folder, "f32").layers[0].gate).toEqual(own.get(GATE));
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ["another width", { intermediate_size: 32 }, /down_proj.*\[20, 32\] according to config\.json, got \[20, 33\]/],
    ["fewer layers than matrices", { num_hidden_layers: 1 }, /no such tensor/],
  ])("loadWeights refuses a config.json with %s", (_what, change, message) => {
    const folder = copyOfModel();
    writeFileSync(join(folder, "config.json"), JSON.stringify({ ...modelJson, ...change }));
    const config = {
      ...modelConfig,
      intermediateSize: change.intermediate_size ?? 33,
      layers: change.num_hidden_layers ?? 2,
    };
    expect(() =>
      loadWeights(openModelFolder(folder), config as typeof modelConfig, createReference(), { precision: "bf16" }),
    ).toThrow(failure("ERR_MODEL_TENSOR", message));
  });

  it("loadWeights refuses an embedding table in sections", () => {
    const folder = copyOfModel();
    editBlock(folder, (block) => {
      const { [GATE]: gate, ...others } = block.matrices as Record<string, JsonObject>;
      const { lowRank: _, ...description } = gate;
      const selection = { rule: "largest", keep: 1, scaled: false };
      block.matrices = { ...others, [GATE]: gate, [EMBEDDING]: { ...description, outFeatures: 7, selection } };
    });
    withHeader(weights(folder), ({ entries }) => {
      rename(entries, EMBEDDING, `${EMBEDDING}.data`);
      entries[`${EMBEDDING}.data`].shape = [20, 7];
    });
    expect(() => load(folder)).toThrow(failure("ERR_MODEL_TENSOR", /embed_tokens.*must be a plain tensor/));
  });

  it("loadWeights refuses changed bytes and names file and section", () => {
    const folder = copyOfModel();
    const { entries, dataStart, bytes } = parseFile(weights(model));
    const damaged = readFileSync(weights(model));
    const [begin] = entries[`${Q}.bitmap`].data_offsets;
    damaged[dataStart + begin] ^= 1;
    expect(damaged.equals(bytes)).toBe(false);
    writeFileSync(weights(folder), damaged);
    expect(() => load(folder)).toThrow(
      failure("ERR_MODEL_TENSOR", /model\.safetensors/, /q_proj\.weight\.offsets.*according to the bitmap/),
    );
  });

  it("loadWeights refuses sections without the metadata that explains them", () => {
    const folder = mkdtempSync(join(root, "bare"));
    writeFileSync(join(folder, "config.json"), JSON.stringify(modelJson));
    writeSafetensors(join(folder, "model.safetensors"), {
      [`${Q}.data`]: { dtype: "I8", shape: [1], data: Int8Array.of(1) },
    });
    expect(() => load(folder)).toThrow(failure("ERR_MODEL_TENSOR", /missing/));
  });
});

function rename(entries: ParsedFile["entries"], from: string, to: string): void {
  entries[to] = entries[from];
  delete entries[from];
}

/** Sets what stands at a path of a JSON object; undefined removes it. */
function put(path: readonly string[], value: unknown): (block: JsonObject) => void {
  return (block) => {
    const inner = path.slice(0, -1).reduce((object, key) => object[key] as JsonObject, block);
    inner[path.at(-1) as string] = value;
  };
}
