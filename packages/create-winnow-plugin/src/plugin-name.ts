import { isPluginId, reservedPluginIds, WinnowError } from "@winnow/core";

const PREFIX = "winnow-plugin-";

/** The longest name that npm takes. */
const MAX_LENGTH = 214;

export interface PluginName {
  /** As configurations name it. */
  readonly id: string;
  /** As npm names it: `winnow-plugin-<id>`, which Winnow finds in node_modules, with the scope if one was given. */
  readonly packageName: string;
}

/** `my-mask`, `winnow-plugin-my-mask` or `@scope/my-mask`. Throws `ERR_USAGE` for a name that npm or a configuration cannot hold. */
export function parsePluginName(given: string): PluginName {
  const [, scope = "", base] = /^(@[^/]*\/)?(.*)$/s.exec(given)!;
  const id = base.startsWith(PREFIX) ? base.slice(PREFIX.length) : base;
  const packageName = `${scope}${PREFIX}${id}`;
  if (!isPluginId(id)) {
    throw badName(given, `"${id}" must be lower-case words joined by hyphens, such as my-masker`);
  }
  if (scope !== "" && !/^@[a-z0-9~-][a-z0-9._~-]*\/$/.test(scope)) {
    throw badName(given, `"${scope}" must be a scope of npm, such as @acme/`);
  }
  if (packageName.length > MAX_LENGTH) throw badName(given, `npm takes at most ${MAX_LENGTH} characters`);
  if (reservedPluginIds.includes(id)) {
    throw badName(given, `"${id}" has a meaning of its own in configurations. Take another`);
  }
  return { id, packageName };
}

function badName(given: string, problem: string): WinnowError {
  return new WinnowError("ERR_USAGE", `Cannot call a plugin ${JSON.stringify(given.slice(0, 200))}: ${problem}.`);
}
