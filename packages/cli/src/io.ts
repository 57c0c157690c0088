import { createRequire } from "node:module";
import { WinnowError } from "@winnow/core/errors";

/** Results go to standard output; progress and notices to standard error, so that `--json` output can be piped. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

export function notice(text: string): void {
  process.stderr.write(`${text}\n`);
}

export interface Progress {
  update(share: number, label: string): void;
  stop(): void;
}

const silent: Progress = { update() {}, stop() {} };

/** A bar with share and remaining time on a terminal; nothing where standard error is not one. */
export function startProgress(title: string): Progress {
  if (!process.stderr.isTTY) return silent;
  const { SingleBar } = createRequire(import.meta.url)("cli-progress") as typeof import("cli-progress");
  const bar = new SingleBar({
    format: `${title} {bar} {percentage}% | {label} | {duration_formatted}, about {eta_formatted} left`,
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    etaBuffer: 30,
  });
  bar.start(1000, 0, { label: "" });
  return {
    update: (share, label) => bar.update(Math.round(1000 * share), { label }),
    stop: () => bar.stop(),
  };
}

/** Whole numbers of a command line option. */
export function integerOption(name: string, minimum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= minimum) return value;
    throw new WinnowError("ERR_USAGE", `Option ${name} must be a whole number of at least ${minimum}, got "${text}".`);
  };
}
