/**
 * Plugin calls that a worker is in, written into memory that the main thread reads: a worker in an endless loop answers no messages.
 * Int32 words: depth, then of each level the serial number of its call and the bytes of its name; then the names, UTF-8, `plugin NUL call`.
 * Calls deeper than `LEVELS` are not written.
 */
const LEVELS = 8;
const NAME_BYTES = 1024;
const NAMES = 4 * (1 + 2 * LEVELS);

export interface RunningCall {
  /** Of this call alone: two looks that see the same number see the same call. */
  readonly serial: number;
  readonly plugin: string;
  readonly call: string;
}

export function createCallBoard(): SharedArrayBuffer {
  return new SharedArrayBuffer(NAMES + LEVELS * NAME_BYTES);
}

/** Outermost first. A call that began or ended during the look may be missing. */
export function runningCalls(board: SharedArrayBuffer): RunningCall[] {
  const words = new Int32Array(board, 0, 1 + 2 * LEVELS);
  const depth = Math.min(Atomics.load(words, 0), LEVELS);
  return Array.from({ length: depth }, (_, level) => readCall(board, words, level)).flatMap((call) => call ?? []);
}

function readCall(board: SharedArrayBuffer, words: Int32Array, level: number): RunningCall | undefined {
  const serial = Atomics.load(words, 1 + 2 * level);
  const name = new Uint8Array(board, NAMES + level * NAME_BYTES, Atomics.load(words, 2 + 2 * level)).slice();
  if (Atomics.load(words, 1 + 2 * level) !== serial) return undefined;
  const [plugin, call = ""] = new TextDecoder().decode(name).split("\0");
  return { serial, plugin, call };
}

/** The worker's side; a thread runs one task at a time. */
let words: Int32Array | undefined;
let names: Uint8Array | undefined;
let depth = 0;
let serial = 0;
const encoded = new Map<string, Uint8Array>();

/** From now on, calls of this thread are written to `board`. */
export function announceCallsOn(board: SharedArrayBuffer): void {
  words = new Int32Array(board, 0, 1 + 2 * LEVELS);
  names = new Uint8Array(board, NAMES);
  depth = 0;
}

export function enterCall(plugin: string, call: string): void {
  const level = depth++;
  if (!words || !names || level >= LEVELS) return;
  const name = encodedName(plugin, call);
  // The serial number changes first, so that a reader never takes an old number with a new name.
  serial = (serial + 1) | 0;
  Atomics.store(words, 1 + 2 * level, serial);
  names.set(name, level * NAME_BYTES);
  Atomics.store(words, 2 + 2 * level, name.length);
  Atomics.store(words, 0, depth);
}

export function leaveCall(): void {
  depth--;
  if (words) Atomics.store(words, 0, depth);
}

function encodedName(plugin: string, call: string): Uint8Array {
  const text = `${plugin}\0${call}`;
  const known = encoded.get(text);
  if (known) return known;
  const name = new TextEncoder().encode(text).slice(0, NAME_BYTES);
  encoded.set(text, name);
  return name;
}
