import type { PluginDefinition } from "@winnow/core";
import { describe, expect, it } from "vitest";
import { conformanceChecks } from "../checks.js";
import type { ConformanceSubject } from "../subject.js";

// biome-ignore lint/suspicious/noExplicitAny: plugins of every kind, and broken ones
export type AnyPlugin = PluginDefinition<any, any>;

/** A plugin that breaks one rule, and what the check for this rule says of it. */
export type Mutant = readonly [
  check: string,
  breaks: string,
  plugin: AnyPlugin,
  message: RegExp,
  subject?: ConformanceSubject,
];

/** `base` whose method is changed by `change`, which receives the sound one. */
// biome-ignore lint/suspicious/noExplicitAny: methods of every kind
export function changed(base: AnyPlugin, change: (made: any) => object): AnyPlugin {
  return {
    ...base,
    create(...args) {
      const made = base.create(...args);
      return { ...made, ...change(made) };
    },
  };
}

/** One test per mutant; every check of `sound` must have one, but those in `exempt`. */
export function describeMutants(
  title: string,
  sound: AnyPlugin,
  mutants: readonly Mutant[],
  exempt: readonly string[] = [],
): void {
  describe(title, () => {
    for (const [id, breaks, plugin, message, subject] of mutants)
      it(`${id} catches a plugin that ${breaks}`, async () => {
        const check = conformanceChecks(plugin, subject).find((one) => one.id === id);
        await expect(check?.run()).rejects.toMatchObject({
          name: "ConformanceError",
          message: expect.stringMatching(message),
        });
      });

    it("every check has a plugin that it catches", () => {
      const ids = conformanceChecks(sound).map(({ id }) => id);
      const covered = [...mutants.map(([id]) => id), ...exempt];
      expect(ids.filter((id) => !covered.includes(id))).toEqual([]);
    });
  });
}

/** A sound plugin passes every check. */
export function describeSound(plugin: AnyPlugin): void {
  describe(`${plugin.id}, which is sound,`, () => {
    it.each(conformanceChecks(plugin).map((check) => [check.id, check] as const))("passes %s", async (_, check) => {
      await check.run();
    });
  });
}
