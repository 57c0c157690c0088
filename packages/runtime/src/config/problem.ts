import { type ErrorCode, type SourceLocation, WinnowError } from "@winnow/core";
import { shorten } from "./given.js";
import { type ConfigPath, formatPath } from "./path.js";
import { locationOf, nearestPlace, type Place } from "./place.js";

/** One thing that is wrong with a configuration. */
export interface Problem {
  readonly code: ErrorCode;
  /** What follows "Cannot configure ": `workers: must be an integer from 1 to 256, got 0.` */
  readonly text: string;
  readonly location?: SourceLocation;
}

export interface ProblemDetails {
  readonly path: ConfigPath;
  readonly code: ErrorCode;
  /** Follows the name of the value: `must be ..., got ...`. */
  readonly text: string;
  /** What the complaint is about. Default: the value. */
  readonly part?: "key" | "value";
  /** Name of the value. Default: its path and a colon. */
  readonly label?: string;
}

const shownName = 200;

/** Names the value, its place in the file and the argument that set it. */
export function problemAt(root: Place, { path, code, text, part, label }: ProblemDetails): Problem {
  const name = label ?? `${shorten(formatPath(path), shownName) || "the configuration"}:`;
  const { argument } = nearestPlace(root, path).place;
  const location = locationOf(root, path, part);
  const sentence = /[.?!]\s*$/.test(text) ? text.trimEnd() : `${text}.`;
  return {
    code,
    text: `${name} ${sentence}${argument === undefined ? "" : ` Given by ${shorten(argument, shownName)}.`}`,
    ...(location && { location }),
  };
}

const shownProblems = 10;

/** One error for all problems, in the order of the file: code and location of the first, the next nine as lines below it. */
export function errorOf(problems: readonly Problem[]): WinnowError {
  const [first, ...others] = [...problems].sort(byLocation);
  const also = others.slice(0, shownProblems - 1).map(({ text, location }) => {
    const place = location ? `  ${location.file}:${location.line}:${location.column}` : "";
    return `\n  also: ${text}${place}`;
  });
  const rest = others.length - also.length;
  const more = rest > 0 ? `\n  and ${rest} more` : "";
  return new WinnowError(first.code, `Cannot configure ${first.text}${also.join("")}${more}`, {
    ...(first.location && { location: first.location }),
  });
}

function byLocation(a: Problem, b: Problem): number {
  if (!a.location || !b.location) return Number(!a.location) - Number(!b.location);
  return a.location.line - b.location.line || a.location.column - b.location.column;
}
