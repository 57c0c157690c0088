import { architectures } from "../architectures.js";
import type { ModelConfig } from "../config.js";
import { asFloatData, copyShared, type StoredFloat } from "../float-convert.js";
import type { ModelFolder, StoredTensor } from "../folder.js";
import { readTensor } from "../safetensors.js";
import { bytesPerElement } from "../safetensors-dtype.js";
import { HEAD, type LinearSpec, linearSpecs } from "../tensor-layout.js";
import { formatError } from "./matrix-source.js";
import type { TensorBytes } from "./shards.js";
import { storedDtype } from "./stored-dtype.js";
import { storedValues } from "./stored-values.js";

type BiasKey = "attention_bias" | "mlp_bias";

/** Key of config.json that gives a matrix, and all others of its family, a bias; undefined where the architecture has none. */
export function biasKeyOf({ architecture }: ModelConfig, weight: string): BiasKey | undefined {
  const { attention, mlp }: { attention?: BiasKey; mlp?: BiasKey } = architectures[architecture].biasKeys;
  if (weight.includes(".self_attn.")) return attention;
  return weight.includes(".mlp.") ? mlp : undefined;
}

/** What becomes of biases while a model is written: those that matrices bring replace the model's, or are added after all other tensors. */
export class BiasWriter {
  readonly #specs: ReadonlyMap<string, LinearSpec>;
  /** Weights by the name of the bias that the source has. */
  readonly #owners: ReadonlyMap<string, string>;
  /** Biases that config.json of the source does not announce, by the name of their tensor; undefined: a tensor of the source. */
  readonly #added = new Map<string, TensorBytes | undefined>();

  constructor(
    private readonly source: ModelFolder,
    private readonly config: ModelConfig,
    private readonly form: "plain" | "sparse",
  ) {
    this.#specs = linearSpecs(config);
    this.#owners = new Map([...this.#specs].flatMap(([weight, { bias }]) => (bias ? [[bias, weight]] : [])));
    for (const name of config.addedBiases ?? []) this.#add(this.ownerOf(name) as string, undefined);
  }

  /** The matrix whose bias a tensor of the source is. */
  ownerOf(name: string): string | undefined {
    return this.#owners.get(name);
  }

  /** Whether config.json of the source does not announce a tensor that is a bias. */
  isAdded(name: string): boolean {
    return this.#added.has(name);
  }

  /** The tensor that replaces the bias of a matrix; undefined if the matrix leaves it as it is. */
  changed(weight: string, bias: Float32Array | undefined): TensorBytes | undefined {
    const name = this.#specs.get(weight)?.bias as string;
    if (!bias || equal(bias, this.#stored(name))) return undefined;
    return this.#tensor(weight, bias);
  }

  /** Takes the bias of a matrix that has none in the source. */
  take(weight: string, bias: Float32Array | undefined): void {
    if (bias && this.#specs.get(weight)?.bias === undefined) this.#add(weight, this.#tensor(weight, bias));
  }

  /** Tensors that the source lacks; in a plain folder also zeros for the other matrices of a family. */
  added(): readonly TensorBytes[] {
    const brought = [...this.#added.values()].filter((tensor) => tensor !== undefined);
    const keys = Object.keys(this.configKeys());
    const missing = [...this.#specs].filter(
      ([weight, { bias }]) =>
        bias === undefined && !this.#added.has(biasName(weight)) && keys.includes(biasKeyOf(this.config, weight) ?? ""),
    );
    const zeros = missing.map(([weight, { outFeatures }]) => this.#tensor(weight, new Float32Array(outFeatures)));
    return [...brought, ...zeros].sort((a, b) => bytesPerElement(b.dtype) - bytesPerElement(a.dtype));
  }

  /** What config.json must say so that other programs read the biases. */
  configKeys(): Readonly<Partial<Record<BiasKey, true>>> {
    if (this.form === "sparse") return {};
    const weights = [...this.#specs.keys()].filter((weight) => this.#added.has(biasName(weight)));
    return Object.fromEntries(weights.map((weight) => [biasKeyOf(this.config, weight), true]));
  }

  #add(weight: string, tensor: TensorBytes | undefined): void {
    if (weight === HEAD) throw formatError(weight, "it brings a bias, but the head has none");
    if (this.form === "plain" && biasKeyOf(this.config, weight) === undefined) {
      const problem = `it brings a bias, but a ${this.config.architecture} model has none there, so other programs would ignore it`;
      throw formatError(weight, `${problem}; use form: sparse`);
    }
    this.#added.set(biasName(weight), tensor);
  }

  #tensor(weight: string, bias: Float32Array): TensorBytes {
    const { outFeatures } = this.#specs.get(weight) as LinearSpec;
    if (bias.length !== outFeatures)
      throw formatError(weight, `its bias must have ${outFeatures} numbers, got ${bias.length}`);
    const name = biasName(weight);
    const dtype = storedDtype(this.source, weight);
    const row = { format: "dense", dtype: "f32", outFeatures: 1, inFeatures: outFeatures, data: bias } as const;
    return { name, dtype, shape: [outFeatures], bytes: storedValues(name, row, dtype) };
  }

  #stored(name: string): Float32Array {
    const { file, entry } = this.source.tensors.get(name) as StoredTensor;
    return copyShared(asFloatData(entry.dtype as StoredFloat, readTensor(file, entry)), "f32");
  }
}

function biasName(weight: string): string {
  return weight.replace(/weight$/, "bias");
}

function equal(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}
