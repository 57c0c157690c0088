import { WinnowError } from "@winnow/core";
import { type ConfigDocument, stepEntry } from "@winnow/runtime";

/** `--length n` changes the length of every needle prompt. */
export function needleLengthSets(config: ConfigDocument, length: number): string[] {
  const sets = config.value.steps.flatMap((step, index) => {
    const { name, settings } = stepEntry(step);
    return "prompt" in settings && settings.prompt.needle
      ? [`steps.${index}.${name}.prompt.needle.length=${length}`]
      : [];
  });
  if (sets.length === 0)
    throw new WinnowError("ERR_USAGE", "--length needs a step with a needle prompt, and this configuration has none.");
  return sets;
}
