import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { LinearFormat } from "@winnow/core";
import { nativeKernels } from "@winnow/kernels-native";
import { describe, expect, test } from "vitest";
import { parseConfig } from "../config/config.js";
import { errorText, pluginModule, tempFolder } from "../testing/temp-packages.js";
import type { PluginModule } from "./plan.js";
import { planKernels } from "./plan-kernels.js";

const shape = { layers: 2, queryHeads: 4, kvHeads: 2, headDim: 16, contextLength: 512 };
const sparse = ["dense", "band", "blocks", "vertical-slash", "ranges"];
const operations = [
  "linear",
  "prefillAttention",
  "decodeAttention",
  "packedAttention",
  "elementwise",
  "cache",
  "primitives",
  "linearAlgebra",
];
/** Every operation on the reference kernels, so that a test does not depend on what is built on this machine. */
const allReference = operations.map((operation) => `${operation}: reference`).join(", ");

interface Needs {
  readonly precision?: "f32" | "bf16";
  readonly maskForms?: readonly string[];
  readonly weightFormats?: readonly LinearFormat[];
  readonly modules?: readonly PluginModule[];
  /** Ids under `plugins`; default: those of all modules. */
  readonly listed?: readonly string[];
}

function plan(
  kernels: string,
  { precision = "f32", maskForms = ["dense"], weightFormats = [], modules = [], listed }: Needs = {},
) {
  const document = parseConfig(`model: m\nkernels: { ${kernels} }\n`, { file: "p.yaml" });
  return planKernels(
    document,
    { precision, maskForms, weightFormats },
    { modules, listed: listed ?? modules.map(({ id }) => id), shape },
  );
}

/** An installed kernel plugin; `fields` is the source text of what its kernel package overrides. */
function kernelPlugin(id: string, fields: string): PluginModule {
  const kernels = `id: ${JSON.stringify(id)}, priority: 200, available: () => ({ available: true }), kernels: []`;
  const create = `(options, model) => ({ ${kernels}, load() {}, ${fields} })`;
  const folder = tempFolder({ "p.js": pluginModule(id, { kind: "kernel", create }) });
  return { id, url: pathToFileURL(join(folder, "p.js")).href, package: id, version: "1.0.0" };
}

const missing = `available: () => ({ available: false, reason: "there is no such chip" })`;
const linearOnly = `kernels: [{ operation: "linear", formats: ["dense"], dtypes: ["f32"] }]`;
const decodeOnly = `kernels: [{ operation: "decodeAttention", dtypes: ["f32"] }]`;

describe("planKernels: forced kernels", () => {
  test("planKernels takes the package that each operation names", async () => {
    const { kernels, fallbacks } = await plan(allReference);
    expect(Object.entries(kernels.assignment)).toEqual(operations.map((operation) => [operation, "reference"]));
    expect(fallbacks).toEqual([]);
  });

  test.each([
    ["elementwise: onnx", {}, 'cannot be "onnx": it has no elementwise kernel'],
    [
      "prefillAttention: onnx",
      { precision: "bf16" },
      'cannot be "onnx": its prefillAttention kernels do not take bf16',
    ],
    [
      "prefillAttention: onnx",
      { maskForms: sparse },
      'cannot be "onnx": its prefillAttention kernels do not take band masks',
    ],
    ["linear: onnx", { weightFormats: ["bitmap"] }, 'cannot be "onnx": its linear kernels do not take bitmap weights'],
    ["linear: nativ", {}, 'must be auto or one of native, onnx, reference, got "nativ". Did you mean "native"?'],
  ] as const)("planKernels refuses %s for %j", async (forced, needs, expected) => {
    const kernels = `${allReference.replace(new RegExp(`${forced.split(":")[0]}: reference`), forced)}, fallback: allow`;
    const text = await errorText(() => plan(kernels, needs));
    expect(text).toContain(`kernels.${forced.split(":")[0]}: ${expected}`);
    expect(text).toMatch(/\n {2}p\.yaml:2:\d+ {2}\[ERR_KERNEL_UNSUPPORTED\]$/);
  });

  test("planKernels names the packages that could run a refused operation", async () => {
    const kernels = allReference.replace("elementwise: reference", "elementwise: onnx");
    expect(await errorText(() => plan(kernels))).toMatch(/Use (native or )?reference\./);
  });

  test("planKernels refuses a forced package that this machine lacks with the package's own reason", async () => {
    const modules = [kernelPlugin("far", `${missing}, ${linearOnly}`)];
    const kernels = allReference.replace("linear: reference", "linear: far");
    expect(await errorText(() => plan(kernels, { modules }))).toContain('cannot be "far": there is no such chip.');
  });
});

describe("planKernels: fallbacks", () => {
  test("planKernels refuses to fall back from a package that takes the operands but is missing on this machine", async () => {
    const modules = [kernelPlugin("far", `${missing}, ${decodeOnly}`)];
    const kernels = allReference.replace("decodeAttention: reference", "decodeAttention: auto");
    const text = await errorText(() => plan(kernels, { modules }));
    expect(text).toContain("kernels.fallback: far kernels cannot run here (there is no such chip).");
    expect(text).toContain("set kernels.fallback: allow to run decodeAttention on ");
    expect(text).toContain("[ERR_KERNEL_UNSUPPORTED]");
  });

  test("planKernels records an allowed fallback once for each operation that the missing package declares", async () => {
    const modules = [kernelPlugin("far", `${missing}, ${decodeOnly}`)];
    const { kernels, fallbacks } = await plan("fallback: allow", { modules });
    const ofFar = fallbacks.filter(({ wanted }) => wanted === "far");
    const used = kernels.assignment.decodeAttention;
    expect(ofFar).toEqual([{ operation: "decodeAttention", wanted: "far", used, reason: "there is no such chip" }]);
  });

  test.each([
    ["of another operation", "linear", decodeOnly, "f32"],
    ["of another type", "linear", linearOnly, "bf16"],
  ] as const)(
    "planKernels reports no fallback from a missing package with kernels %s only",
    async (_, operation, declared, precision) => {
      const modules = [kernelPlugin("far", `${missing}, ${declared}`)];
      // The next package is there on every machine.
      const near = kernelPlugin("near", `priority: 150, kernels: [{ operation: "linear", dtypes: ["f32", "bf16"] }]`);
      const kernels = allReference.replace(`${operation}: reference`, `${operation}: auto`);
      const result = await plan(kernels, { precision, modules: [...modules, near] });
      expect(result.kernels.assignment.linear).toBe("near");
      expect(result.fallbacks).toEqual([]);
    },
  );

  test("planKernels reports no fallback from a missing package with a lower priority than the one that runs", async () => {
    const modules = [kernelPlugin("near", linearOnly), kernelPlugin("far", `priority: 199, ${missing}, ${linearOnly}`)];
    const result = await plan(allReference.replace("linear: reference", "linear: auto"), { modules });
    expect(result.kernels.assignment.linear).toBe("near");
    expect(result.fallbacks).toEqual([]);
  });
});

describe("planKernels: which kernel plugins auto may choose", () => {
  const linearAuto = allReference.replace("linear: reference", "linear: auto");
  const above = () => kernelPlugin("above", linearOnly);

  test("planKernels chooses a listed plugin by its priority", async () => {
    const { kernels } = await plan(linearAuto, { modules: [above()] });
    expect(kernels.assignment.linear).toBe("above");
  });

  test("planKernels does not load an installed plugin that is not listed", async () => {
    const folder = tempFolder({ "p.js": "throw new Error('this code ran');" });
    const module = { id: "above", url: pathToFileURL(join(folder, "p.js")).href, package: "above", version: "1.0.0" };
    const { kernels } = await plan(`${linearAuto}, fallback: allow`, { modules: [module], listed: [] });
    expect(kernels.assignment.linear).not.toBe("above");
  });

  test("planKernels runs a plugin that is not listed where an operation names it, and only there", async () => {
    const both = kernelPlugin(
      "above",
      `kernels: [
      { operation: "linear", formats: ["dense"], dtypes: ["f32"] }, { operation: "decodeAttention", dtypes: ["f32"] }]`,
    );
    const kernels = `${allReference.replace("linear: reference", "linear: above").replace("decodeAttention: reference", "decodeAttention: auto")}, fallback: allow`;
    const { assignment, notChosen } = (await plan(kernels, { modules: [both], listed: [] })).kernels;
    expect(assignment.linear).toBe("above");
    expect(assignment.decodeAttention).not.toBe("above");
    expect(notChosen).toContainEqual({
      operation: "decodeAttention",
      id: "above",
      reason: "it is not listed under plugins",
    });
  });

  test("planKernels leaves out a listed plugin that lacks a needed weight format, and says so", async () => {
    const { kernels } = await plan(`${linearAuto}, fallback: allow`, { modules: [above()], weightFormats: ["bitmap"] });
    expect(kernels.assignment.linear).not.toBe("above");
    const reason = "its linear kernels do not take bitmap weights";
    expect(kernels.notChosen).toContainEqual({ operation: "linear", id: "above", reason });
  });

  test("planKernels says of each package with kernels for an operation why it does not run it", async () => {
    const below = kernelPlugin("below", `priority: 150, ${linearOnly}`);
    const { notChosen } = (await plan(linearAuto, { modules: [above(), below] })).kernels;
    expect(notChosen).toContainEqual({
      operation: "linear",
      id: "below",
      reason: "its priority of 150 is not above above's 200",
    });
    expect(notChosen).toContainEqual({ operation: "prefillAttention", id: "onnx", reason: expect.any(String) });
    expect(notChosen.filter(({ operation, id }) => operation === "linear" && id === "above")).toEqual([]);
    const forced = (await plan(allReference)).kernels.notChosen;
    expect(forced.filter(({ id }) => id === "onnx" || id === "native").map(({ reason }) => reason)).toEqual(
      expect.arrayContaining(["kernels.linear names reference"]),
    );
  });
});

describe("planKernels: kernel plugins", () => {
  test("planKernels gives create the defaults of the plugin's options and the model's shape", async () => {
    const reason = "reason: JSON.stringify([options, model])";
    const modules = [kernelPlugin("told", `available: () => ({ available: false, ${reason} }), ${linearOnly}`)];
    const text = await errorText(() => plan(allReference.replace("linear: reference", "linear: told"), { modules }));
    expect(text).toContain(JSON.stringify([{ width: 8 }, shape]));
  });

  test("planKernels does not load a kernel plugin when every operation names another package", async () => {
    const folder = tempFolder({ "p.js": "throw new Error('this code ran');" });
    const url = pathToFileURL(join(folder, "p.js")).href;
    const modules = [{ id: "unused", url, package: "unused", version: "1.0.0" }];
    expect((await plan(allReference, { modules })).kernels.assignment.linear).toBe("reference");
    expect(await errorText(() => plan("fallback: allow", { modules }))).toContain("this code ran");
  });

  test.each([
    [
      "throws in create",
      "...(() => { throw new Error('no licence'); })()",
      'Plugin "odd" failed in create: no licence',
    ],
    [
      "creates another id",
      'id: "other"',
      '"odd" failed in create: it must create a kernel package of the same id, got "other"',
    ],
    ["throws in available", `available() { throw new Error('oops'); }, ${linearOnly}`, "failed in available: oops"],
  ])("planKernels blames a kernel plugin that %s", async (_, fields, expected) => {
    const modules = [kernelPlugin("odd", fields)];
    expect(await errorText(() => plan("fallback: allow", { modules }))).toContain(expected);
  });

  test("planKernels says that a plugin of another kind is no kernel package", async () => {
    const folder = tempFolder({ "p.js": pluginModule("masks") });
    const url = pathToFileURL(join(folder, "p.js")).href;
    const modules = [{ id: "masks", url, package: "masks", version: "1.0.0" }];
    expect(await errorText(() => plan("linear: masks, fallback: allow", { modules }))).toContain("exports a masker");
  });
});

describe("planKernels: instruction sets", () => {
  const chip = (...sets: string[]) =>
    kernelPlugin("chip", `${linearOnly}, instructionSets: () => ${JSON.stringify(sets)}`);
  const onChip = allReference.replace("linear: reference", "linear: chip");

  test("planKernels takes a forced instruction set that a chosen package has", async () => {
    const { kernels } = await plan(`${onChip}, isa: x86_avx2`, { modules: [chip("x86_avx2", "generic")] });
    expect(kernels.isa).toBe("x86_avx2");
  });

  test("planKernels refuses a forced instruction set that this machine lacks, naming those it has", async () => {
    const text = await errorText(() => plan(`${onChip}, isa: x86_avx512`, { modules: [chip("x86_avx2", "generic")] }));
    expect(text).toContain("kernels.isa: cannot be x86_avx512 here: these kernels run on x86_avx2, generic.");
    expect(text).toMatch(/\n {2}p\.yaml:2:\d+ {2}\[ERR_ISA_UNSUPPORTED\]$/);
  });

  test("planKernels refuses a forced instruction set where no chosen package has a choice", async () => {
    expect(await errorText(() => plan(`${allReference}, isa: generic`))).toContain(
      "none of the chosen kernel packages has a choice of instruction sets",
    );
  });

  test.runIf(nativeKernels.available().available)(
    "planKernels prefers the native kernels where they are built",
    async () => {
      const { kernels, fallbacks } = await plan("isa: generic", { precision: "bf16", maskForms: sparse });
      expect(Object.values(kernels.assignment)).toEqual(operations.map(() => "native"));
      expect(kernels.isa).toBe("generic");
      expect(fallbacks).toEqual([]);
    },
  );
});
