import { requireThat } from "./check.js";
import type { Maker } from "./make.js";
import { requireRefusal } from "./nan-rule.js";
import { withNaN } from "./prompts.js";
import { eventDifference } from "./pruner-events.js";
import { prefillContext, type SequenceSettings } from "./sequence-run.js";
import { layersOf, runOf, type SequenceShape, usualSequence } from "./sequences.js";
import type { KeptOracle } from "./subject.js";

export function checkHooks(maker: Maker): undefined {
  const pruner = maker.pruner();
  const hooks = ["afterPrefill", "select", "observe", "afterAttention", "compress"] as const;
  const given = hooks.filter((hook) => typeof pruner[hook] === "function");
  requireThat(given.length > 0, `one of the hooks ${hooks.join(", ")}`, "none");
  const { observationQueries = 0 } = pruner;
  const whole = Number.isInteger(observationQueries) && observationQueries >= 0;
  requireThat(whole, "observationQueries to be a whole number >= 0", `${observationQueries}`);
}

/** Every hook through a sequence; {@link SequenceRun} checks each result. */
export function checkRun(maker: Maker, shape: SequenceShape, extra?: Omit<SequenceSettings, "promptTokens">): string {
  const events = runOf(maker, shape, extra).finish();
  const fewer = events.filter(({ heads }) => heads).length;
  return `${fewer} of ${events.length} decisions leave something out`;
}

export function checkCompress(maker: Maker): string {
  if (!maker.pruner().compress) return "not tried: there is no hook compress";
  const events = runOf(maker, usualSequence).finish();
  const done = events.filter(({ elements, heads }) => elements && heads).length;
  return `tokens were compressed ${done} times`;
}

export function checkBudget(maker: Maker): string {
  const { budget } = maker.subject;
  if (!budget) return "not tried: the options promise no budget (give one as budget)";
  for (const { at, heads, length } of runOf(maker, usualSequence)
    .finish()
    .filter(({ elements }) => !elements))
    for (const [head, list] of heads?.entries() ?? [])
      requireThat(
        list.length <= budget(length),
        `${at} to stay within ${budget(length)} of ${length} tokens`,
        `${list.length} in head ${head}`,
      );
  return "budget kept";
}

export function checkRagged(maker: Maker): string {
  const events = runOf(maker, { ...usualSequence, seed: 3 }).finish();
  const ragged = events.some(({ heads }) => heads?.some((list) => list.length !== heads[0].length));
  return ragged ? "heads hold different numbers of tokens" : "every head holds the same number of tokens";
}

export function checkNaN(maker: Maker): string | undefined {
  const spoiled = layersOf(usualSequence).map((layer) => withNaN(layer, usualSequence.promptTokens - 1));
  return requireRefusal(
    "q and k",
    () => runOf(maker, usualSequence, {}, spoiled).finish(),
    () => runOf(maker, { ...usualSequence, seed: 2 }).finish(),
    eventDifference,
  );
}

export function checkOracle(maker: Maker): undefined {
  const oracle = maker.subject.oracle as KeptOracle;
  for (const promptTokens of [1, 7, 33, 120]) {
    const shape = { promptTokens, tokens: promptTokens, seed: promptTokens };
    const events = runOf(maker, shape)
      .finish()
      .filter(({ elements }) => !elements);
    const expected = layersOf(shape).map((data, layer) => ({
      at: `afterPrefill of layer ${layer}`,
      length: promptTokens,
      heads: oracle(prefillContext(data, layer, maker.pruner(), { promptTokens }), maker.options()),
    }));
    const difference = eventDifference(events, expected);
    requireThat(
      difference === undefined,
      `the oracle's tokens of a prompt of ${promptTokens}`,
      () => `another choice in ${difference}`,
    );
  }
}
