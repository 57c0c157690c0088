/**
 * Whether a pattern repeats a group without bound that itself holds an unbounded repeat, as in `(a+)+`.
 * Backtracking on such a pattern takes time exponential in the text, so a damaged or malicious tokenizer.json could stop the process.
 * No tokenizer in use needs one. Character classes and escapes are skipped; the scan is O(pattern).
 * This finds the common form, not every slow pattern: `(a|aa)+` passes.
 */
export function hasNestedRepeat(pattern: string): boolean {
  const groups: { repeats: boolean }[] = [{ repeats: false }];
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at];
    if (char === "\\") at++;
    else if (char === "[") at = endOfClass(pattern, at);
    else if (char === "(") groups.push({ repeats: false });
    else if (char === ")" && groups.length > 1) {
      const inner = groups.pop() as { repeats: boolean };
      if (inner.repeats && isUnbounded(pattern, at + 1)) return true;
      groups[groups.length - 1].repeats ||= inner.repeats;
    } else if (isUnbounded(pattern, at)) groups[groups.length - 1].repeats = true;
  }
  return false;
}

function isUnbounded(pattern: string, at: number): boolean {
  return pattern[at] === "*" || pattern[at] === "+" || /^\{\d+,\}/.test(pattern.slice(at, at + 12));
}

function endOfClass(pattern: string, start: number): number {
  let depth = 0;
  for (let at = start; at < pattern.length; at++) {
    if (pattern[at] === "\\") at++;
    else if (pattern[at] === "[") depth++;
    else if (pattern[at] === "]" && --depth === 0) return at;
  }
  return pattern.length;
}
