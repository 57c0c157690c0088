import type { Comparison } from "@winnow/core";
import { WinnowError } from "@winnow/core";
import {
  argmax,
  type Decoder,
  DenseSequence,
  greedyContinuation,
  type LoadedTensor,
  loadSafetensors,
} from "@winnow/models";
import { type Compared, reportComparisons } from "./comparison-list.js";
import type { OpenModel } from "./decoder-cache.js";
import type { FixtureReport } from "./verdict.js";

/** What a float32 implementation must reach against float64 references, in logits and nats. */
const TOLERANCE = 1e-3;
const close: Comparison = { mode: "close", atol: TOLERANCE, rtol: 0 };

type Tensors = ReadonlyMap<string, LoadedTensor>;

/** Prompts with `ids`, and recorded `logits`, `nll`, `top`, `hidden` of the model, or texts with greedy continuations. */
export async function verifyModelFixture(name: string, path: string, model: OpenModel): Promise<FixtureReport> {
  const { metadata, tensors } = loadSafetensors(path);
  const list = tensors.has("ids")
    ? await scoredPrompt(model, tensors, metadata.answer)
    : await continuedTexts(model, tensors, metadata.texts);
  if (list.length === 0)
    throw new WinnowError("ERR_FIXTURE", `Cannot run "${path}": it holds neither "ids" nor "ids_0".`);
  return reportComparisons(name, list);
}

async function scoredPrompt(model: OpenModel, tensors: Tensors, answer: string | undefined): Promise<Compared[]> {
  const ids = Int32Array.from(numbers(tensors, "ids"));
  const recordedTop = tensors.has("top") ? numbers(tensors, "top") : undefined;
  const run = await runPrompt(model.decoder, ids, recordedTop);
  const list: Compared[] = [];
  const add = (name: string, actual: ArrayLike<number>, rule: Comparison) => {
    if (tensors.has(name)) list.push({ name, actual, expected: numbers(tensors, name), rule });
  };
  add("logits", run.logits, close);
  add("nll", run.nll, close);
  add("hidden", run.hidden, { mode: "close", atol: TOLERANCE, rtol: TOLERANCE });
  add("top", run.top, { mode: "exact" });
  if (answer !== undefined) list.push(await answerComparison(model, ids, answer));
  return list;
}

interface PromptRun {
  readonly logits: Float32Array;
  readonly nll: Float32Array;
  /** The most likely token of each row; where the recorded one is equally likely within tolerance, that one. */
  readonly top: Int32Array;
  readonly hidden: Float32Array;
}

async function runPrompt(decoder: Decoder, ids: Int32Array, recordedTop?: ArrayLike<number>): Promise<PromptRun> {
  const { hiddenSize, vocabSize, layers } = decoder.config;
  const hidden = new Float32Array((layers + 1) * hiddenSize);
  const residual = await new DenseSequence(decoder, ids.length).append(ids, {
    onLayer: (layer, rows) => hidden.set(rows.subarray(-hiddenSize), layer * hiddenSize),
  });
  hidden.set(residual.subarray(-hiddenSize), layers * hiddenSize);
  const nll = new Float32Array(ids.length - 1);
  const top = new Int32Array(ids.length);
  const logits = new Float32Array(vocabSize);
  for (let row = 0; row < ids.length; row++) {
    await decoder.logits(residual.subarray(row * hiddenSize, (row + 1) * hiddenSize), 1, logits);
    top[row] = equallyLikely(logits, argmax(logits), recordedTop?.[row]);
    if (row + 1 < ids.length) nll[row] = logSumExp(logits) - logits[ids[row + 1]];
  }
  return { logits, nll, top, hidden };
}

function equallyLikely(logits: Float32Array, best: number, recorded: number | undefined): number {
  return recorded !== undefined && logits[best] - logits[recorded] <= 2 * TOLERANCE ? recorded : best;
}

async function answerComparison(model: OpenModel, ids: Int32Array, answer: string): Promise<Compared> {
  const expected = model.tokenizer().encode(answer, { addSpecialTokens: false });
  const actual = await greedyContinuation(model.decoder, ids, expected.length);
  return { name: "answer", actual, expected, rule: { mode: "exact" } };
}

async function continuedTexts(model: OpenModel, tensors: Tensors, textsJson: string | undefined): Promise<Compared[]> {
  const list: Compared[] = [];
  const texts = textsJson === undefined ? [] : (JSON.parse(textsJson) as string[]);
  for (let index = 0; tensors.has(`ids_${index}`); index++) {
    const ids = Int32Array.from(numbers(tensors, `ids_${index}`));
    const greedy = numbers(tensors, `greedy_${index}`);
    list.push(
      {
        name: `logits_${index}`,
        actual: (await runPrompt(model.decoder, ids)).logits,
        expected: numbers(tensors, `logits_${index}`),
        rule: close,
      },
      {
        name: `greedy_${index}`,
        actual: await greedyContinuation(model.decoder, ids, greedy.length),
        expected: greedy,
        rule: { mode: "exact" },
      },
    );
    if (texts[index] !== undefined)
      list.push({
        name: `ids_${index}`,
        actual: model.tokenizer().encode(texts[index]),
        expected: ids,
        rule: { mode: "exact" },
      });
  }
  return list;
}

function numbers(tensors: Tensors, name: string): Float32Array | Int32Array {
  const tensor = tensors.get(name);
  if (!(tensor?.data instanceof Float32Array || tensor?.data instanceof Int32Array)) {
    throw new WinnowError("ERR_FIXTURE", `Tensor "${name}" must be there as F32 or I32.`);
  }
  return tensor.data;
}

function logSumExp(logits: Float32Array): number {
  const best = logits[argmax(logits)];
  return best + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - best), 0));
}
