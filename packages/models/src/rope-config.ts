import { z } from "zod";
import { isJsonObject } from "./json.js";
import { checkSchema, type Fail } from "./schema-check.js";

/** How frequencies are changed for contexts longer than those of the first training. */
export type RopeScaling =
  | { readonly type: "default" }
  | { readonly type: "linear"; readonly factor: number }
  | {
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalContextLength: number;
    }
  | {
      readonly type: "yarn";
      readonly factor: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      readonly originalContextLength: number;
      readonly truncate: boolean;
      /** Multiplies cos and sin. */
      readonly attentionFactor: number;
    };

export interface RopeConfig {
  readonly theta: number;
  readonly scaling: RopeScaling;
}

const positive = z.number().positive();
const length = z.int().positive();

const llama3Schema = z
  .object({
    factor: z.number().min(1),
    low_freq_factor: positive,
    high_freq_factor: positive,
    original_max_position_embeddings: length.nullish(),
  })
  .refine((s) => s.high_freq_factor > s.low_freq_factor, {
    path: ["high_freq_factor"],
    message: "larger than low_freq_factor",
  });

const yarnSchema = z.object({
  factor: z.number().min(1).nullish(),
  attention_factor: positive.nullish(),
  mscale: z.number().nonnegative().nullish(),
  mscale_all_dim: z.number().nonnegative().nullish(),
  beta_fast: z.number().nonnegative().nullish(),
  beta_slow: z.number().nonnegative().nullish(),
  truncate: z.boolean().nullish(),
  original_max_position_embeddings: length.nullish(),
});

/** RoPE keys of config.json: `rope_parameters` of transformers 5, `rope_theta` and `rope_scaling` of older versions. */
export const ropeKeys = {
  rope_theta: positive.nullish(),
  rope_scaling: z.record(z.string(), z.unknown()).nullish(),
  rope_parameters: z.record(z.string(), z.unknown()).nullish(),
  partial_rotary_factor: z.number().nullish(),
};

const ropeSchema = z.object(ropeKeys);

/**
 * Unites the old and the new way of writing RoPE settings.
 * Refused through `fail`: types that depend on the prompt's length or on tables (dynamic, longrope), multi-axis RoPE, partial rotation,
 * and old and new keys that contradict each other.
 */
export function parseRope(raw: z.infer<typeof ropeSchema>, contextLength: number, fail: Fail): RopeConfig {
  const key = raw.rope_parameters ? "rope_parameters" : "rope_scaling";
  const settings = raw.rope_parameters ?? raw.rope_scaling ?? {};
  for (const [name, value] of Object.entries(settings)) {
    if (isJsonObject(value)) fail(`${key}.${name}`, "a plain value (one RoPE for all layers)", value);
  }
  const partial = settings.partial_rotary_factor ?? raw.partial_rotary_factor ?? 1;
  if (partial !== 1) fail("partial_rotary_factor", "1 (all channels rotated)", partial);
  const theta = settings.rope_theta ?? raw.rope_theta ?? 10000;
  if (typeof theta !== "number" || !(theta > 1 && theta < Infinity))
    fail(`${key}.rope_theta`, "a number above 1", theta);
  if (raw.rope_theta != null && raw.rope_theta !== theta) {
    fail("rope_theta", `the same as ${key}.rope_theta (${theta})`, raw.rope_theta);
  }
  return { theta: theta as number, scaling: parseScaling(settings, key, contextLength, fail) };
}

function parseScaling(settings: Record<string, unknown>, key: string, contextLength: number, fail: Fail): RopeScaling {
  const type = settings.rope_type ?? settings.type ?? "default";
  switch (type) {
    case "default":
      return { type: "default" };
    case "linear":
      return {
        type: "linear",
        factor: checkSchema(z.object({ factor: z.number().min(1) }), settings, fail, `${key}.`).factor,
      };
    case "llama3": {
      const s = checkSchema(llama3Schema, settings, fail, `${key}.`);
      return {
        type: "llama3",
        factor: s.factor,
        lowFreqFactor: s.low_freq_factor,
        highFreqFactor: s.high_freq_factor,
        originalContextLength: s.original_max_position_embeddings ?? contextLength,
      };
    }
    case "yarn":
      return parseYarn(checkSchema(yarnSchema, settings, fail, `${key}.`), contextLength);
    default:
      return fail(`${key}.rope_type`, 'one of "default", "linear", "llama3", "yarn"', type);
  }
}

/** YaRN (Peng et al. 2023), sections 3.2 and 3.4, with the defaults of Hugging Face. */
function parseYarn(s: z.infer<typeof yarnSchema>, contextLength: number): RopeScaling {
  const originalContextLength = s.original_max_position_embeddings ?? contextLength;
  const factor = s.factor ?? contextLength / originalContextLength;
  return {
    type: "yarn",
    factor,
    betaFast: s.beta_fast || 32,
    betaSlow: s.beta_slow || 1,
    originalContextLength,
    truncate: s.truncate ?? true,
    attentionFactor: s.attention_factor ?? yarnAttentionFactor(factor, s.mscale, s.mscale_all_dim),
  };
}

/** Eq. 22 of the paper, 0.1 ln(s) + 1; DeepSeek's variant divides two of them with their own weights. */
function yarnAttentionFactor(factor: number, mscale?: number | null, mscaleAllDim?: number | null): number {
  const magnitude = (weight: number) => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1);
  return mscale && mscaleAllDim ? magnitude(mscale) / magnitude(mscaleAllDim) : magnitude(1);
}
