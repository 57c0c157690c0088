import type { KeptTokens, ReadPart, ReadPlan, TokenLists } from "@winnow/core";
import { requireThat } from "./check.js";

/** Kept tokens must be ascending lists inside each KV head's cache, none of them empty. Returns them per head. */
export function checkKept(what: string, kept: KeptTokens, lengths: readonly number[]): number[][] {
  return checkLists(`${what} to keep`, kept, lengths, "KV head");
}

export interface ReadLimits {
  /** Cached tokens of each KV head. */
  readonly lengths: readonly number[];
  readonly queryHeads: number;
  /** True position of the new token. */
  readonly position: number;
}

/** A read plan must fit the cache. Returns the lists per query head, or undefined where it reads everything. */
export function checkReadPlan(what: string, plan: ReadPlan, limits: ReadLimits): number[][] | undefined {
  const { lengths, queryHeads } = limits;
  const read: unknown = plan?.read;
  const forms = ["all", "lists", "parts"];
  requireThat(forms.includes(read as string), `${what} to read all, lists or parts`, () =>
    String(JSON.stringify(read)),
  );
  if (plan.read === "parts") checkParts(what, plan.parts, limits);
  if (plan.read !== "lists") return undefined;
  const group = queryHeads / lengths.length;
  const cached = Array.from({ length: queryHeads }, (_, head) => lengths[Math.floor(head / group)]);
  return checkLists(`${what} to read`, plan.lists, cached, "query head");
}

function checkLists(what: string, lists: TokenLists, lengths: readonly number[], unit: string): number[][] {
  const { indices, offsets } = lists ?? {};
  const typed = indices instanceof Int32Array && offsets instanceof Int32Array;
  requireThat(typed, `${what} lists of indices and offsets as Int32Array`, "another type");
  const heads = lengths.length;
  const whole = offsets.length === heads + 1 && offsets[0] === 0 && offsets[heads] === indices.length;
  requireThat(whole, `${what} lists with ${heads + 1} offsets from 0 to ${indices.length}`, () => `[${offsets}]`);
  return lengths.map((length, head) => {
    const list = Array.from(indices.subarray(offsets[head], offsets[head + 1]));
    requireThat(list.length > 0, `${what} at least one token of ${unit} ${head}`, "none");
    const bad = list.findIndex((token, at) => token >= length || token <= (list[at - 1] ?? -1));
    requireThat(
      bad < 0,
      `${what} ascending tokens of 0..${length - 1} of ${unit} ${head}`,
      () => `${list[bad]} after ${list[bad - 1] ?? "nothing"}`,
    );
    return list;
  });
}

function checkParts(what: string, parts: readonly ReadPart[], { lengths, position }: ReadLimits): void {
  requireThat(Array.isArray(parts), `${what} to list its parts`, typeof parts);
  const [length] = lengths;
  const even = lengths.every((other) => other === length);
  requireThat(even, `${what} to read parts only where all KV heads hold the same number of tokens`, `[${lengths}]`);
  let end = 0;
  for (const part of parts) {
    const given = () => `[${part?.start}, ${part?.end}) at ${part?.queryPosition}`;
    const follows = part?.start === end && Number.isInteger(part.end) && part.end > end && part.end <= length;
    requireThat(follows, `${what} to read parts that cover [0, ${length}) in order`, given);
    const turned = Number.isInteger(part.queryPosition) && part.queryPosition >= 0 && part.queryPosition <= position;
    requireThat(turned, `${what} to place the query in 0..${position}`, given);
    end = part.end;
  }
  requireThat(end === length, `${what} to read parts that cover [0, ${length})`, `parts up to ${end}`);
}
