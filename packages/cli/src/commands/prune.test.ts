import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const binary = fileURLToPath(new URL("../../bin/winnow.js", import.meta.url));
const root = fileURLToPath(new URL("../../../..", import.meta.url));
const core = new URL("../../../core/dist/index.js", import.meta.url).href;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "winnow-"));
  writeFileSync(
    join(folder, "halving.mjs"),
    `import { definePlugin, defineOptions } from ${JSON.stringify(core)};
export default definePlugin({
  id: "halving", kind: "weight-sparsifier", summary: "For tests.", source: { title: "none" }, options: defineOptions({}),
  create: () => ({
    statistics: [],
    sparsify: ({ weight }) => ({ ...weight, data: weight.data.map((value, e) => (e % 2 ? value : 0)) }),
  }),
});
`,
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A configuration that halves up_proj and q_proj, with these steps. */
function yaml(name: string, steps = ""): string {
  const lines = [
    `model: ${join(root, "models/winnow-16m-32k")}`,
    "threads: 1",
    "plugins: [./halving.mjs]",
    "weights: [{ sparsifier: halving, projections: [q_proj, up_proj] }]",
    `output: { receipt: ${join(folder, `${name}.receipt.json`)} }`,
    ...(steps ? ["steps:", steps] : []),
  ];
  writeFileSync(join(folder, name), lines.join("\n"));
  return join(folder, name);
}

function winnow(...args: string[]): Promise<{ status: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [binary, ...args], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  const text = { out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (piece: string) => {
    text.out += piece;
  });
  child.stderr.setEncoding("utf8").on("data", (piece: string) => {
    text.err += piece;
  });
  return new Promise((resolve) => child.on("close", (status) => resolve({ status, ...text })));
}

describe("winnow prune", () => {
  test("writes a model and prints zeros, pattern and bytes of each kind of matrix", async () => {
    const { status, out } = await winnow("prune", yaml("plain.yaml"), "--out", "plain", "--workers", "2");
    expect(status).toBe(0);
    expect(out).toMatch(/q_proj .*│ 8 .*│ 50\.0 % .*│ 1:2 .*│ dense .*│ 2\.25 .*│ 2\.25/);
    expect(out).toMatch(/up_proj .*50\.0 %/);
    expect(out).toMatch(/all .*50\.0 %/);
    expect(out).toMatch(/Wrote plain \(.* MiB\) in .* s, without a calibration text/);
    expect(existsSync(join(folder, "plain/model.safetensors"))).toBe(true);
    expect(existsSync(join(folder, "plain.partial"))).toBe(false);
  });

  test("--json prints the report alone; --form sparse makes the matrices smaller", async () => {
    const args = ["--out", "sparse", "--form", "sparse", "--json"];
    const { status, out } = await winnow("prune", yaml("sparse.yaml"), ...args);
    expect(status).toBe(0);
    const report = JSON.parse(out);
    expect(report).toMatchObject({ form: "sparse", calibration: null });
    expect(report.matrices).toHaveLength(16);
    for (const { format, bytesBefore, bytesAfter } of report.matrices) {
      expect(format).toBe("groups");
      expect(bytesAfter).toBeLessThan(0.6 * bytesBefore);
    }
  });

  test("ends with status 2 and the reason where out is not empty", async () => {
    const { status, err } = await winnow("prune", yaml("taken.yaml"), "--out", ".");
    expect(status).toBe(2);
    expect(err).toMatch(/not empty.*overwrite.*\n.*ERR_OUTPUT_FILE/);
  });

  test("needs --out, and knows the forms", async () => {
    const config = yaml("usage.yaml");
    expect(await winnow("prune", config)).toMatchObject({ status: 2, err: expect.stringContaining("--out") });
    expect(await winnow("prune", config, "--out", "x", "--form", "gguf")).toMatchObject({
      status: 2,
      err: expect.stringContaining("plain, sparse"),
    });
  });
});

describe("winnow run", () => {
  test("runs a prune step alone: a table, no receipt", async () => {
    const config = yaml("step.yaml", "  - prune: { out: from-step }");
    const { status, out } = await winnow("run", config);
    expect(status).toBe(0);
    expect(out).toMatch(/Wrote .*from-step/);
    expect(existsSync(join(folder, "from-step/model.safetensors"))).toBe(true);
    expect(existsSync(`${config}.receipt.json`)).toBe(false);
  });

  test("runs the steps after a prune step on the pruned model", async () => {
    const generate = "  - generate: { prompt: { text: Once upon a time }, maxNewTokens: 8 }";
    const before = yaml("before.yaml", `${generate}\n  - prune: { out: then-generate }\n${generate}`);
    expect(await winnow("run", before)).toMatchObject({ status: 0 });
    const receipts = JSON.parse(readFileSync(`${before}.receipt.json`, "utf8"));
    expect(receipts.map(({ plan }: { plan: { model: { folder: string } } }) => plan.model.folder)).toEqual([
      join(root, "models/winnow-16m-32k"),
      join(folder, "then-generate"),
    ]);
    expect(receipts[0].answer.text).not.toBe(receipts[1].answer.text);
  });
});
