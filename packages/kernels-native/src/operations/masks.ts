import { type Band, lowerMask, type Mask, QUERY_BLOCK, type RangesMask, validateMask, WinnowError } from "@winnow/core";
import { check } from "../check.js";

const OPERATION = "prefillAttention";

/** Dense and band masks as they are, everything else as ranges; one entry per distinct mask object is lowered. */
export type NativeMask =
  | { readonly form: "dense" }
  | { readonly form: "band"; readonly bands: readonly [Band] }
  | RangesMask;

/**
 * Masks in the forms that the kernel reads. Contents of `ranges` masks are checked by the binding (they are large), the other forms here.
 * Heads often share one mask object: each is lowered once.
 */
export function nativeMasks(masks: readonly Mask[], heads: number, n: number): NativeMask[] {
  check(Array.isArray(masks), OPERATION, "masks", "be an array", masks);
  const fits = masks.length === 1 || masks.length === heads;
  check(fits, OPERATION, "masks.length", `be 1 or ${heads}`, masks.length);
  const lowered = new Map<Mask, NativeMask>();
  return masks.map((mask, head) => {
    const known = lowered.get(mask) ?? nativeMask(mask, head, n);
    lowered.set(mask, known);
    return known;
  });
}

function nativeMask(mask: Mask, head: number, n: number): NativeMask {
  if (mask?.form === "ranges" && QUERY_BLOCK % mask.blockSize === 0)
    return { ...mask, bands: mask.bands.map(plainBand) };
  checkMask(mask, head, n);
  if (mask.form === "dense") return mask;
  if (mask.form === "band") return { form: "band", bands: [plainBand(mask)] };
  if (mask.form === "vertical-slash" && mask.exact) throw exactUnsupported(head);
  return lowerMask(mask, n);
}

function plainBand({ sinkTokens, recentTokens, denseFromRow }: Band): Band {
  return { sinkTokens, recentTokens, denseFromRow };
}

function checkMask(mask: Mask, head: number, n: number): void {
  try {
    validateMask(mask, n);
  } catch (cause) {
    const reason = cause instanceof WinnowError ? cause.message : String(cause);
    throw new WinnowError("ERR_OPERATION_ARGUMENT", `Cannot run ${OPERATION}: masks[${head}]: ${reason}`, { cause });
  }
}

function exactUnsupported(head: number): WinnowError {
  return new WinnowError(
    "ERR_KERNEL_UNSUPPORTED",
    `Cannot run ${OPERATION}: masks[${head}] is vertical-slash with exact: true, whose pairs form no tiles. Set exact: false, or run kernels-reference.`,
  );
}
