import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { receiptSchema } from "@winnow/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const binary = fileURLToPath(new URL("../bin/winnow.js", import.meta.url));
const root = fileURLToPath(new URL("../../..", import.meta.url));
const model = join(root, "models/winnow-16m-32k");

let folder: string;
let config: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "winnow-"));
  config = yaml("pipeline.yaml", "  - generate: { prompt: { text: Once upon a time }, maxNewTokens: 4 }");
});
afterAll(() => rmSync(folder, { recursive: true }));

function yaml(name: string, steps: string): string {
  const file = join(folder, name);
  writeFileSync(
    file,
    `model: ${model}\nthreads: 1\nsteps:\n${steps}\noutput: { receipt: ${join(folder, `${name}.json`)} }\n`,
  );
  return file;
}

interface Ended {
  readonly status: number | null;
  readonly killedBy: string | null;
  readonly out: string;
  readonly err: string;
}

/** Runs the command in the test's folder. `watch` sees what it has written so far, and may send signals. */
function winnow(
  args: readonly string[],
  watch?: (soFar: { out: string; err: string }, child: ReturnType<typeof spawn>) => void,
  node: readonly string[] = [],
): Promise<Ended> {
  const child = spawn(process.execPath, [...node, binary, ...args], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  const soFar = { out: "", err: "" };
  for (const [name, stream] of [
    ["out", child.stdout],
    ["err", child.stderr],
  ] as const) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      soFar[name] += text;
      watch?.(soFar, child);
    });
  }
  return new Promise((resolve) => child.on("close", (status, killedBy) => resolve({ status, killedBy, ...soFar })));
}

describe("winnow --json prints JSON and nothing else to standard output:", () => {
  test("run", async () => {
    const { status, out } = await winnow(["run", config, "--json"]);
    expect(status).toBe(0);
    const receipts = receiptSchema.array().parse(JSON.parse(out));
    expect(receipts).toHaveLength(1);
    expect(receipts[0].answer.tokens).toBe(4);
    expect(JSON.parse(readFileSync(`${config}.json`, "utf8"))).toEqual(receipts[0]);
  });

  test("explain", async () => {
    const { status, out } = await winnow(["explain", config, "--json", "--set", "workers=3"]);
    expect(status).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ workers: 3, model: { folder: model } });
  });

  test("plugins list", async () => {
    const { status, out } = await winnow(["plugins", "list", "--json"]);
    expect(status).toBe(0);
    expect(JSON.parse(out)).toContainEqual(expect.objectContaining({ id: "hello-masker", kind: "masker" }));
  });
});

describe("winnow run", () => {
  test("prints the answer, what ran and where the receipt is", async () => {
    const { status, out, err } = await winnow(["run", config]);
    expect({ status, err }).toEqual({ status: 0, err: "" });
    expect(out).toMatch(/dense \+ full cache: 6 prompt tokens, 4 new \(length\)/);
    expect(out).toContain(`Receipt: ${config}.json`);
  });

  test.each(["1", "8"])("--workers %s gives the same answer", async (workers) => {
    const answer = ({ out }: Ended) => receiptSchema.array().parse(JSON.parse(out))[0].answer;
    const expected = answer(await winnow(["run", config, "--json"]));
    const ended = await winnow(["run", config, "--json", "--workers", workers]);
    expect(answer(ended)).toEqual(expected);
  });

  test("ends quietly when the reader of its output has gone", async () => {
    const ended = await winnow(["run", config], ({ out }, child) => out && child.stdout?.destroy());
    expect(ended.err).toBe("");
    expect([0, 141]).toContain(ended.status);
  });
});

describe("A mistake ends winnow with status 2 and one message:", () => {
  const mistakes: [string, () => string[], RegExp][] = [
    ["an unknown command", () => ["nope"], /^error: unknown command 'nope'$/],
    ["an unknown option", () => ["run", config, "--nope"], /^error: unknown option '--nope'$/],
    ["a missing argument", () => ["run"], /^error: missing required argument 'config'$/],
    [
      "no workers",
      () => ["run", config, "--workers", "0"],
      /^Option --workers must .* at least 1, got "0"\.\n {2}\[ERR_USAGE\]$/,
    ],
    [
      "a fraction of a thread",
      () => ["run", config, "--threads", "1.5"],
      /^Option --threads must .*\n {2}\[ERR_USAGE\]$/,
    ],
    [
      "an unknown key in --set",
      () => ["run", config, "--set", "worker=1"],
      /Did you mean "workers"\?.*\n {2}\[ERR_OPTION_UNKNOWN\]$/,
    ],
    ["a set that is no assignment", () => ["run", config, "--set", "workers"], /\[ERR_USAGE\]$/],
    ["a missing file", () => ["run", "missing.yaml"], /^Cannot read missing\.yaml.*\n {2}\[ERR_CONFIG_FILE\]$/],
    ["a missing model", () => ["run", config, "--set", "model=/no/model"], /\/no\/model.*\n(.*\s)?\[ERR_MODEL_FILE\]$/],
    [
      "an unknown plugin",
      () => ["run", config, "--set", "prefill.masker=minferense"],
      /minference.*\n.*\[ERR_PLUGIN_UNKNOWN\]$/,
    ],
    [
      "a length without a needle prompt",
      () => ["run", config, "--length", "64"],
      /^--length needs .*\n {2}\[ERR_USAGE\]$/,
    ],
    [
      "a plugin that cannot be tuned",
      () => ["tune", "snapkv", config, "--length", "200", "--prompts", "1"],
      /\[ERR_PLUGIN_INVALID\]$/,
    ],
  ];
  test.each(mistakes)("%s", async (_, args, message) => {
    const { status, out, err } = await winnow(args());
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err.trimEnd()).toMatch(message);
    expect(err.trimEnd().split("\n").length).toBeLessThanOrEqual(2);
  });

  test("an error in the YAML, at file:line:column", async () => {
    const file = join(folder, "wrong.yaml");
    writeFileSync(file, `model: ${model}\nprefill:\n  masker: 5\n`);
    const { status, err } = await winnow(["run", file]);
    expect(status).toBe(2);
    expect(err).toContain(`${file}:3:11  [ERR_OPTION_TYPE]`);
  });

  test("a configuration without steps", async () => {
    const file = join(folder, "empty.yaml");
    writeFileSync(file, `model: ${model}\n`);
    expect(await winnow(["run", file])).toMatchObject({
      status: 2,
      err: expect.stringMatching(/no steps.*\n {2}\[ERR_OPTION_MISSING\]\n$/),
    });
  });

  test("a receipt that cannot be written, without leaving a part of it", async () => {
    const below = join(config, "receipt.json");
    const { status, err } = await winnow(["run", config, "--set", `output.receipt=${below}`]);
    expect(status).toBe(2);
    expect(err).toMatch(/^Cannot write .*choose another with output\.\n {2}\[ERR_OUTPUT_FILE\]\n$/);
    expect((await winnow(["schema", "--out", join(config, "schemas")])).status).toBe(2);
    expect((await winnow(["run", config, "--set", `output.receipt=${folder}`])).status).toBe(2);
    const left = [...readdirSync(folder), ...readdirSync(tmpdir()).filter((name) => name.startsWith(basename(folder)))];
    expect(left.filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});

describe("Ctrl-C", () => {
  /** Says on standard error when the command begins to listen to Ctrl-C. */
  const announce = [
    "--import",
    `data:text/javascript,process.on("newListener", (name) => name === "SIGINT" && process.stderr.write("listening\\n"));`,
  ];
  const long = "maxNewTokens: 20000, stop: { endOfSequence: false }";
  const prompt = "{ needle: { length: 30000, depth: 0.5 } }";

  async function expectStopped(args: readonly string[], isTime: (soFar: { out: string; err: string }) => boolean) {
    let sent = false;
    const ended = await winnow(
      args,
      (soFar, child) => {
        if (sent || !isTime(soFar)) return;
        sent = child.kill("SIGINT");
      },
      announce,
    );
    expect(ended).toMatchObject({ status: 130, killedBy: null, err: expect.stringMatching(/Stopped\.\n$/) });
    expect(ended.err).not.toMatch(/^\s+at /m);
  }

  test("while loading ends with status 130 and no receipt", async () => {
    const file = yaml("load.yaml", `  - generate: { prompt: { text: Once }, ${long} }`);
    await expectStopped(["run", file], ({ err }) => err.includes("listening"));
    expect(existsSync(`${file}.json`)).toBe(false);
  });

  test("during prefill ends with status 130 and no receipt", async () => {
    const file = yaml("prefill.yaml", `  - compare: { prompt: ${prompt}, maxNewTokens: 16 }`);
    await expectStopped(["run", file], ({ out }) => out.includes("dense: "));
    expect(existsSync(`${file}.json`)).toBe(false);
  });

  test.each(["plugins check", "conformance"])(
    "ends `winnow %s` at once, also inside a plugin that never returns",
    async (command) => {
      const module = join(folder, "endless.mjs");
      writeFileSync(module, `process.stderr.write("loading\\n"); for (;;);`);
      const args = [...command.split(" "), module];
      const ended = await winnow(args, ({ err }, child) => err.includes("loading") && child.kill("SIGINT"));
      expect(ended).toMatchObject({ status: null, killedBy: "SIGINT" });
    },
  );

  test("ends a benchmark of kernels on this thread at once, while one runs", async () => {
    const announceKernels = [
      "--import",
      `data:text/javascript,const { dlopen } = process; process.dlopen = (...args) => { dlopen.apply(process, args); process.stderr.write("native\\n"); };`,
    ];
    const watch = ({ err }: { err: string }, child: ReturnType<typeof spawn>) =>
      err.includes("native") && child.kill("SIGINT");
    const ended = await winnow(["bench", "attention", "--lengths", "32768"], watch, announceKernels);
    expect(ended).toMatchObject({ status: null, killedBy: "SIGINT" });
  });

  test("during decode ends with status 130 and no receipt", async () => {
    const file = yaml("decode.yaml", `  - generate: { prompt: { text: Once }, ${long} }`);
    await expectStopped(["run", file], ({ out }) => out.length > 40);
    expect(existsSync(`${file}.json`)).toBe(false);
  });

  test("twice ends at once, whatever runs", async () => {
    const file = yaml("twice.yaml", `  - compare: { prompt: ${prompt}, maxNewTokens: 16 }`);
    const sent = { first: false, second: false };
    const ended = await winnow(["run", file], ({ out, err }, child) => {
      if (!sent.first && out.includes("dense: ")) sent.first = child.kill("SIGINT");
      if (!sent.second && err.includes("Press Ctrl-C again")) sent.second = child.kill("SIGINT");
    });
    // Between the two the first may have had its effect already.
    expect(["SIGINT", 130]).toContain(ended.killedBy ?? ended.status);
    expect(existsSync(`${file}.json`)).toBe(false);
  });
});
