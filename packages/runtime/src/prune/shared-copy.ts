/** Plain data whose arrays are all in shared memory, so that threads pass it on without copying; arrays that are shared already stay. */
export function sharedCopy<T>(value: T): T {
  if (ArrayBuffer.isView(value)) return sharedArray(value as unknown as Float32Array) as T;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, sharedCopy(inner)])) as T;
}

function sharedArray<A extends Float32Array>(array: A): A {
  const { buffer, byteLength } = array;
  if (buffer instanceof SharedArrayBuffer) return array;
  const copy = new (array.constructor as new (buffer: SharedArrayBuffer) => A)(new SharedArrayBuffer(byteLength));
  copy.set(array);
  return copy;
}
