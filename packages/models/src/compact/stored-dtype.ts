import type { StoredFloat } from "../float-convert.js";
import type { ModelFolder } from "../folder.js";

/** Type of a tensor of the source, or of the plain tensor that a compact matrix replaced. */
export function storedDtype({ tensors, matrices, bitmasks }: ModelFolder, name: string): StoredFloat {
  const dtype = tensors.get(name)?.entry.dtype ?? matrices.get(name)?.description.replaces ?? bitmasks.get(name)?.dtype;
  return dtype as StoredFloat;
}
