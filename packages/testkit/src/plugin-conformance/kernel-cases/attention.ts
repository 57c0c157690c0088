import { type FloatDtype, headsFirst, type LayerOperations } from "@winnow/core";
import { sampleMasks } from "../../masks.js";
import { Seeded } from "../../seeded.js";
import type { KernelCase } from "../kernel-compare.js";
import { makePrompt } from "../prompts.js";

export function attentionCases(
  operation: "prefillAttention" | "decodeAttention",
  forms: readonly string[],
  dtypes: readonly FloatDtype[],
): KernelCase[] {
  return dtypes.flatMap((dtype) => (operation === "decodeAttention" ? decodeCases(dtype) : prefillCases(forms, dtype)));
}

/** One mask of every declared form, over one token and over several query blocks. */
function prefillCases(forms: readonly string[], dtype: FloatDtype): KernelCase[] {
  return [1, 130].flatMap((n) =>
    sampleMasks(new Seeded(n), n)
      .filter(([, { form }]) => forms.includes(form))
      .map(([title, mask]) => ({
        method: "prefillAttention",
        name: `${n} tokens, ${dtype}, mask ${title}`,
        dtype,
        format: mask.form,
        async call(operations: LayerOperations) {
          const { q, k, v, scale } = makePrompt({ name: title, n, dtype });
          const out = headsFirst(new Float32Array(q.data.length), q.heads, n, q.headDim);
          await operations.prefillAttention({ q, k, v, out, scale, masks: [mask] });
          return out.data;
        },
      })),
  );
}

function decodeCases(dtype: FloatDtype): KernelCase[] {
  const length = 70;
  const data = () => {
    const { k, v, scale } = makePrompt({ name: "cache", n: length, dtype });
    const { q } = makePrompt({ name: "query", n: 1 });
    return { q, k, v, scale, out: headsFirst(new Float32Array(q.data.length), q.heads, 1, q.headDim) };
  };
  const lists = { indices: Int32Array.of(0, 69, 3, 1, 2, 5, 40), offsets: Int32Array.of(0, 2, 3, 4, 7) };
  return [
    {
      method: "decodeAttention",
      name: `all of the cache, ${dtype}`,
      dtype,
      call(operations) {
        const task = data();
        operations.decodeAttention(task);
        return task.out.data;
      },
    },
    {
      method: "decodeAttention",
      name: `lists, ${dtype}`,
      dtype,
      call(operations) {
        const task = data();
        operations.decodeAttention({ ...task, tokens: lists });
        return task.out.data;
      },
    },
    {
      method: "decodeAttention",
      name: `scores, ${dtype}`,
      dtype,
      call(operations) {
        const scores = new Float32Array(4 * length);
        operations.decodeAttention({ ...data(), scores });
        return scores;
      },
    },
  ];
}
