/** An array in memory that all workers see. */
export function shared<T>(
  type: { new (buffer: SharedArrayBuffer): T; readonly BYTES_PER_ELEMENT: number },
  length: number,
): T {
  return new type(new SharedArrayBuffer(length * type.BYTES_PER_ELEMENT));
}

/** The shape of a weight with the bias in shared memory. */
export function sharedShape({
  outFeatures,
  inFeatures,
  bias,
}: {
  outFeatures: number;
  inFeatures: number;
  bias?: Float32Array;
}) {
  if (!bias) return { outFeatures, inFeatures };
  const copy = shared(Float32Array, bias.length);
  copy.set(bias);
  return { outFeatures, inFeatures, bias: copy };
}
