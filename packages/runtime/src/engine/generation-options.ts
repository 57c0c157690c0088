import { WinnowError } from "@winnow/core";
import { z } from "zod";

/** How the next token is drawn. Temperature 0 is greedy; ties go to the lower id. */
export const samplingSchema = z.strictObject({
  temperature: z.number().min(0).max(100).default(0),
  /** Keep the k most likely tokens; 0: all. */
  topK: z.int().min(0).default(0),
  /** Keep the smallest set of tokens whose probability reaches p. */
  topP: z.number().gt(0).max(1).default(1),
  /** Drop tokens less likely than p times the most likely one. */
  minP: z.number().min(0).max(1).default(0),
  /** Divides positive and multiplies negative logits of tokens that occurred; 1: off. */
  repetitionPenalty: z.number().gt(0).max(100).default(1),
  seed: z.int().min(0).max(0xffffffff).default(0),
});

export const generationSchema = z.strictObject({
  maxNewTokens: z.int().min(1).default(256),
  sampling: samplingSchema.prefault({}),
  stop: z
    .strictObject({
      strings: z.array(z.string().min(1)).max(64).default([]),
      ids: z.array(z.int().min(0)).max(256).default([]),
      /** Stop at the end-of-sequence token of the model. */
      endOfSequence: z.boolean().default(true),
    })
    .prefault({}),
  /** Report the n most likely tokens with each token; 0: only when asked for. */
  logProbabilities: z.int().min(0).max(100).default(0),
  /** Run without the plan's masker and KV pruner, on the same kernels: the baseline of a comparison. */
  dense: z.boolean().default(false),
});

export type SamplingOptions = z.output<typeof samplingSchema>;
export type GenerationOptions = z.output<typeof generationSchema>;
export type GenerationInput = z.input<typeof generationSchema>;

/** Fills in defaults; throws `ERR_GENERATION_OPTION` naming the option, the given value and what is expected. */
export function resolveGenerationOptions(input: GenerationInput = {}): GenerationOptions {
  const parsed = generationSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = issue.path.join(".") || "options";
  const given = issue.path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key],
    input,
  );
  const label =
    issue.code === "unrecognized_keys"
      ? `unknown option ${issue.keys.join(", ")}`
      : `${path} got ${JSON.stringify(given)}`;
  throw new WinnowError("ERR_GENERATION_OPTION", `Cannot generate: ${label}. ${issue.message}.`);
}
