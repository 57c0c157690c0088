import { defineOptions, option, sparsityOptions } from "@winnow/core";
import { describe, expect, it } from "vitest";
import { conformanceChecks } from "./checks.js";
import { sampleWindow } from "./sample-plugins.js";
import { type AnyPlugin, describeMutants, type Mutant } from "./testing/mutants.js";

const share = sparsityOptions.sparsity.unwrap();
const info = { description: "A share." };
const made = { plan: () => [] };
const withOptions = (options: AnyPlugin["options"]): AnyPlugin => ({ ...sampleWindow, options });

const mutants: Mutant[] = [
  ["definition", "has no summary", { ...sampleWindow, summary: " " }, /a summary of one sentence; got " "/],
  ["definition", "has an id in capitals", { ...sampleWindow, id: "Window" }, /definePlugin accepts; .*kebab-case/],
  ["definition", "has no source", { ...sampleWindow, source: { title: "" } }, /source.title/],
  [
    "options-documented",
    "leaves an option undocumented",
    withOptions(defineOptions({ share: share.default(0.5) })),
    /a description of every option; got the error "Option "share" has no description/,
  ],
  [
    "options-defaults",
    "has an option without default",
    withOptions(defineOptions({ share: option(share, info) })),
    /accept no options, every other option having a default; got "share: /,
  ],
  [
    "options-defaults",
    "has a default outside of its range",
    withOptions(defineOptions({ share: option(share.default(7), info) })),
    /the defaults to fit their own schema; got "share: Too big/,
  ],
  ["options-unknown", "accepts any option", withOptions(defineOptions({}).loose()), /"noSuchOption" to be refused/],
  [
    "options-check",
    "finds a problem with options that are tried",
    { ...sampleWindow, check: () => [{ path: [], message: "Too wide." }] },
    /no problem with the options that are tried; got Too wide/,
  ],
  [
    "options-check",
    "returns no list",
    { ...sampleWindow, check: () => "fine" as never },
    /a list of { path, message }/,
  ],
  [
    "create-defaults",
    "throws for the defaults",
    {
      ...sampleWindow,
      create() {
        throw new Error("boom");
      },
    },
    /create to make the method; got the error "boom"/,
  ],
  [
    "create-separate",
    "makes one object for all",
    { ...sampleWindow, create: () => made },
    /a new object from each call/,
  ],
  [
    "create-separate",
    "changes its options",
    {
      ...withOptions(defineOptions({ share: option(share.default(0.5), info) })),
      create(options: Record<string, unknown>) {
        options.share = 1;
        return { ...made };
      },
    },
    /create to leave its options as they are/,
  ],
];

const ofKind = conformanceChecks(sampleWindow)
  .map(({ id }) => id)
  .slice(7);

describeMutants("checks of definitions", sampleWindow, mutants, ofKind);

describe("conformanceChecks", () => {
  it("options without default may be given by the subject", async () => {
    const plugin = withOptions(defineOptions({ share: option(share, info) }));
    for (const check of conformanceChecks(plugin, { options: { share: 0.5 } }).slice(0, 7)) await check.run();
  });

  it("options that do not fit fail with what the schema says", async () => {
    const [check] = conformanceChecks(sampleWindow, { options: { wide: 1 } }).filter(({ id }) => id === "masks-valid");
    await expect(check.run()).rejects.toThrow(/the schema to accept {"wide":1}; got ".*wide/);
  });
});
