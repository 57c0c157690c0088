import { spawn } from "node:child_process";
import { copyFileSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createEngine } from "@winnow/runtime";
import { describe, expect, test } from "vitest";
import { modelFolder, withFolder } from "../../test-support/engines.js";

type Json = Record<string, unknown>;

/** A copy of the shipped model with something broken in it. */
function withBroken(spoil: (folder: string) => void, use: (model: string) => Promise<void>): Promise<void> {
  return withFolder(async (folder) => {
    for (const name of [
      "config.json",
      "generation_config.json",
      "tokenizer.json",
      "tokenizer_config.json",
      "model.safetensors",
    ])
      copyFileSync(join(modelFolder, name), join(folder, name));
    spoil(folder);
    await use(folder);
  });
}

function editJson(file: string, edit: (json: Json) => void): void {
  const json = JSON.parse(readFileSync(file, "utf8")) as Json;
  edit(json);
  writeFileSync(file, JSON.stringify(json));
}

const editConfig = (edit: (json: Json) => void) => (folder: string) => editJson(join(folder, "config.json"), edit);
const weights = (folder: string) => join(folder, "model.safetensors");

/** Writes a bf16 NaN as the last weight of the file. */
function spoilWeight(folder: string): void {
  const bytes = readFileSync(weights(folder));
  bytes.writeUInt16LE(0x7fc0, bytes.length - 2);
  writeFileSync(weights(folder), bytes);
}

/** Gives the last token of the vocabulary an id that the model has no row for. */
function spoilTokenizer(folder: string): void {
  editJson(join(folder, "tokenizer.json"), (json) => {
    const { vocab } = json.model as { vocab: Record<string, number> };
    const last = Object.keys(vocab).find((piece) => vocab[piece] === 8191)!;
    vocab[last] = 8192;
  });
}

describe("createEngine refuses a model", () => {
  const cases: [string, (folder: string) => void, string, RegExp][] = [
    [
      "whose weights are cut off",
      (f) => truncateSync(weights(f), statSync(weights(f)).size - 100),
      "ERR_MODEL_FILE",
      /model\.safetensors.*cut off/,
    ],
    ["whose weights are empty", (f) => truncateSync(weights(f), 0), "ERR_MODEL_FILE", /model\.safetensors/],
    ["with NaN in a weight", spoilWeight, "ERR_MODEL_TENSOR", /must be finite/],
    ["with a tokenizer of another vocabulary", spoilTokenizer, "ERR_TOKENIZER", /8192/],
    [
      "with a tokenizer that is no JSON",
      (f) => writeFileSync(join(f, "tokenizer.json"), "{"),
      "ERR_TOKENIZER",
      /tokenizer\.json/,
    ],
    [
      "without a needed key",
      editConfig((json) => delete json.num_hidden_layers),
      "ERR_MODEL_CONFIG",
      /num_hidden_layers/,
    ],
    [
      "with more layers than weights",
      editConfig((json) => {
        json.num_hidden_layers = 9;
      }),
      "ERR_MODEL_TENSOR",
      /layers\.8/,
    ],
    [
      "with another width than its weights",
      editConfig((json) => {
        json.intermediate_size = 1000;
      }),
      "ERR_MODEL_TENSOR",
      /1000/,
    ],
    [
      "of another architecture",
      editConfig((json) => {
        json.architectures = ["GPT2LMHeadModel"];
        json.model_type = "gpt2";
      }),
      "ERR_MODEL_CONFIG",
      /gpt2|GPT2/,
    ],
  ];
  test.each(cases)("%s", (_, spoil, code, message) =>
    withBroken(spoil, async (model) => {
      await expect(createEngine({ model })).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    }),
  );

  test("that is not there", async () => {
    await expect(createEngine({ model: "/no/such/model" })).rejects.toMatchObject({ code: "ERR_MODEL_FILE" });
  });
});

test("createEngine leaves nothing running after a refusal: the process ends by itself", () =>
  withBroken(spoilWeight, async (model) => {
    const runtime = fileURLToPath(new URL("../../dist/index.js", import.meta.url));
    const script = `
      import { createEngine } from ${JSON.stringify(runtime)};
      await createEngine({ model: ${JSON.stringify(model)}, workers: 2 }).catch((error) => console.log(error.code));`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (data) => {
      output += data;
    });
    const status = await new Promise((resolve) => child.on("close", resolve));
    expect({ status, output }).toEqual({ status: 0, output: "ERR_MODEL_TENSOR\n" });
  }));
