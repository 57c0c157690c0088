import type { PluginDefinition, PluginKind } from "@winnow/core";
import { describe, it } from "vitest";
import { conformanceChecks } from "./checks.js";
import type { ConformanceSubject } from "./subject.js";

/**
 * Declares one vitest test per rule of the contract of a plugin's kind ({@link conformanceChecks}).
 *
 * @example
 * describePlugin(plugin, { options: { recentTokens: 7 }, oracle: (_, { recentTokens }) => (head, i, j) => i - j < recentTokens });
 */
export function describePlugin<Kind extends PluginKind>(
  // biome-ignore lint/suspicious/noExplicitAny: the schema is each plugin's own
  definition: PluginDefinition<Kind, any>,
  subject: ConformanceSubject<Kind> = {},
): void {
  describe(`${definition.id} keeps the contract of a ${definition.kind}`, () => {
    for (const check of conformanceChecks(definition, subject)) {
      it(`${check.title} (${check.id})`, async ({ annotate }) => {
        const note = await check.run();
        if (note) await annotate(note);
      });
    }
  });
}
