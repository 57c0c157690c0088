import { type Mask, type Masker, type MaskerContext, type Operations, validateMask } from "@winnow/core";
import { createReference } from "@winnow/kernels-reference";
import { attempt, requireThat } from "./check.js";
import { maskPicture } from "./mask-picture.js";
import type { Prompt } from "./prompts.js";

export const reference: Operations = createReference();

export interface PlanSettings {
  readonly layer?: number;
  readonly heads?: { readonly start: number; readonly end: number };
  readonly primitives?: Operations;
}

export function maskerContext(
  prompt: Prompt,
  { layer = 1, heads, primitives = reference }: PlanSettings,
): MaskerContext {
  const { model, q, k, scale } = prompt;
  return { model, layer, heads: heads ?? { start: 0, end: model.queryHeads }, q, k, scale, primitives };
}

/** What `plan` returns for a prompt: one mask per head, whether it gave one for all or not. */
export function planHeads(masker: Masker, prompt: Prompt, settings: PlanSettings = {}): Mask[] {
  const context = maskerContext(prompt, settings);
  const heads = context.heads.end - context.heads.start;
  const masks: unknown = attempt(`plan to return masks for ${prompt.name}`, () => masker.plan(context));
  requireThat(
    Array.isArray(masks) && (masks.length === 1 || masks.length === heads),
    `plan to return 1 or ${heads} masks for ${prompt.name}`,
    () => (Array.isArray(masks) ? `${masks.length}` : typeof masks),
  );
  return masks.length === heads ? masks : new Array(heads).fill(masks[0]);
}

/** {@link planHeads} of masks that must be well formed, as pictures. */
export function planPictures(masker: Masker, prompt: Prompt, settings: PlanSettings = {}): Uint8Array[] {
  const masks = planHeads(masker, prompt, settings);
  const pictures = new Map<Mask, Uint8Array>();
  for (const mask of new Set(masks)) {
    attempt(`a valid mask for ${prompt.name}`, () => validateMask(mask, prompt.n));
    pictures.set(mask, maskPicture(mask, prompt.n));
  }
  return masks.map((mask) => pictures.get(mask)!);
}
