/** The part of the JavaScript interface of WebAssembly that is used here; the standard library of TypeScript declares it for browsers only. */
interface WebAssemblyInterface {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: Readonly<Record<string, unknown>> };
  validate(bytes: Uint8Array): boolean;
}

export interface Memory {
  readonly buffer: ArrayBuffer;
  /** Throws a RangeError where the pages cannot be had; replaces `buffer`. */
  grow(pages: number): number;
}

export const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: WebAssemblyInterface };
