import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { openModelFolder } from "./folder.js";
import { writeSafetensors } from "./safetensors-write.js";

const root = mkdtempSync(join(tmpdir(), "winnow-folder-"));
afterAll(() => rmSync(root, { recursive: true }));

let folders = 0;

/** A folder with config.json and the given files; a list of names becomes a safetensors file with those tensors. */
function folderOf(files: Record<string, string | string[]>): string {
  const path = join(root, String(folders++));
  mkdirSync(path);
  const all: Record<string, string | string[]> = { "config.json": "{}", ...files };
  for (const [name, content] of Object.entries(all)) {
    if (typeof content === "string") writeFileSync(join(path, name), content);
    else writeSafetensors(join(path, name), Object.fromEntries(content.map((tensor) => [tensor, scalar])));
  }
  return path;
}

const scalar = { dtype: "F32", shape: [1], data: Float32Array.of(1) } as const;
const index = (weightMap: unknown) => JSON.stringify({ weight_map: weightMap });
const INDEX = "model.safetensors.index.json";

describe("openModelFolder", () => {
  it("openModelFolder reads the headers of one file", () => {
    const folder = openModelFolder(folderOf({ "model.safetensors": ["a", "b"] }));
    expect([...folder.tensors.keys()]).toEqual(["a", "b"]);
    expect(folder.generationConfig).toEqual({});
  });

  it("openModelFolder unites the shards that the index lists", () => {
    const folder = openModelFolder(
      folderOf({
        [INDEX]: index({ a: "1.safetensors", b: "2.safetensors" }),
        "1.safetensors": ["a"],
        "2.safetensors": ["b"],
      }),
    );
    expect(folder.tensors.get("b")?.file.path).toMatch(/2\.safetensors$/);
    expect(folder.tensors.size).toBe(2);
  });

  it.each<[string, () => string, string, RegExp]>([
    ["a folder that does not exist", () => join(root, "absent"), "ERR_MODEL_FILE", /no such folder.*not downloaded/],
    [
      "a file",
      () => join(folderOf({ "x.gguf": "" }), "x.gguf"),
      "ERR_MODEL_FILE",
      /must be a Hugging Face folder, got a GGUF file/,
    ],
    [
      "a folder without weights",
      () => folderOf({}),
      "ERR_MODEL_FILE",
      /got config\.json.*Download the weights as safetensors/,
    ],
    [
      "PyTorch weights",
      () => folderOf({ "pytorch_model.bin": "" }),
      "ERR_MODEL_FILE",
      /save it with safe_serialization=True/,
    ],
    ["GGUF weights", () => folderOf({ "m.gguf": "" }), "ERR_MODEL_FILE", /GGUF is not supported/],
    [
      "a config.json that is not JSON",
      () => folderOf({ "config.json": "{" }),
      "ERR_MODEL_CONFIG",
      /config\.json.*must be JSON/,
    ],
    [
      "a config.json that is a list",
      () => folderOf({ "config.json": "[]" }),
      "ERR_MODEL_CONFIG",
      /top level must be a JSON object, got \[\]/,
    ],
    [
      "an index without weight_map",
      () => folderOf({ [INDEX]: "{}" }),
      "ERR_MODEL_FILE",
      /"weight_map" must be an object, got nothing/,
    ],
    [
      "an index that points outside the folder",
      () => folderOf({ [INDEX]: index({ a: "../x.safetensors" }) }),
      "ERR_MODEL_FILE",
      /file of the same folder for "a", got "\.\.\/x\.safetensors"/,
    ],
    [
      "a missing shard",
      () => folderOf({ [INDEX]: index({ a: "1.safetensors" }) }),
      "ERR_MODEL_FILE",
      /lists the shard "1\.safetensors", which is missing/,
    ],
    [
      "an index that places a tensor where it is not",
      () => folderOf({ [INDEX]: index({ a: "1.safetensors", b: "1.safetensors" }), "1.safetensors": ["a"] }),
      "ERR_MODEL_TENSOR",
      /places tensor "b" in "1\.safetensors", which does not hold it/,
    ],
    [
      "a tensor in two shards",
      () =>
        folderOf({
          [INDEX]: index({ a: "1.safetensors", b: "2.safetensors" }),
          "1.safetensors": ["a"],
          "2.safetensors": ["a", "b"],
        }),
      "ERR_MODEL_TENSOR",
      /"2\.safetensors" holds tensor "a", but .* places it in "1\.safetensors"/,
    ],
    [
      "a tensor that the index does not list",
      () => folderOf({ [INDEX]: index({ a: "1.safetensors" }), "1.safetensors": ["a", "c"] }),
      "ERR_MODEL_TENSOR",
      /holds tensor "c", but .* does not list it/,
    ],
  ])("openModelFolder refuses %s", (_what, make, code, message) => {
    const path = make();
    expect(() => openModelFolder(path)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  it("openModelFolder refuses a folder without config.json and says what it found", () => {
    const path = mkdtempSync(join(root, "bare"));
    writeFileSync(join(path, "notes.txt"), "");
    expect(() => openModelFolder(path)).toThrow(/must hold config\.json, got notes\.txt/);
  });
});
