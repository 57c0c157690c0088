import { existsSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { PluginDefinition, PluginKind } from "@winnow/core";
import { WinnowError } from "@winnow/core/errors";
import { reservedPluginIds } from "@winnow/core/manifest";
import { moduleFolders, pluginFolders } from "./discover.js";
import { type InstalledPlugin, readManifest } from "./manifest.js";
import { PathPermission } from "./path-permission.js";

export interface RegistryOptions {
  /** Where the configuration lives; absolute. What it names by path is relative to this folder. */
  readonly folder: string;
  /** Absolute; default: the current folder. Packages are searched in node_modules of both folders and of those above them. */
  readonly workingFolder?: string;
  /** Files and folders besides these two whose code may be named by path. */
  readonly allowPlugins?: readonly string[];
  /** Code may be named by any path: for a configuration that a program wrote, which could run that code itself. */
  readonly anyPath?: boolean;
}

/** A package that looks like a plugin and cannot be used. */
export interface BrokenPackage {
  readonly folder: string;
  readonly error: WinnowError;
}

/**
 * Installed plugins by id. Manifests are read at once, code is loaded when a plugin is asked for; only a module that is named by its path
 * is loaded to learn what it holds. Two plugins of one id are an error; a package that cannot be used is one only for who asks for it.
 */
export class PluginRegistry {
  readonly #installed = new Map<string, InstalledPlugin>();
  readonly #loaded = new Map<string, Promise<PluginDefinition>>();
  readonly #broken: BrokenPackage[] = [];
  /** Ids of the plugins that the configuration asked for, see {@link PluginRegistry.allow}. */
  readonly #allowed = new Set<string>();
  readonly #folders: readonly [string, string];
  readonly #permission: PathPermission | undefined;

  constructor({ folder, workingFolder = process.cwd(), allowPlugins = [], anyPath = false }: RegistryOptions) {
    this.#folders = [folder, workingFolder];
    if (!anyPath) this.#permission = new PathPermission(this.#folders, allowPlugins);
    for (const path of pluginFolders(this.#folders)) this.#add(this.#manifestOf(path));
  }

  /** Sorted by id. */
  list(): InstalledPlugin[] {
    return [...this.#installed.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Installed packages that declare plugins but cannot be used, with the reason. */
  broken(): readonly BrokenPackage[] {
    return this.#broken;
  }

  /** Whether a configuration listed this plugin, its package or its path under `plugins`, or named its path. */
  isAllowed(id: string): boolean {
    return this.#allowed.has(id);
  }

  find(id: string): InstalledPlugin | undefined {
    return this.#installed.get(id);
  }

  /**
   * Adds the plugins of a package, by its name or the id of one that is installed, or of a module or package folder, by its path. Throws `ERR_PLUGIN_UNKNOWN` where nothing is there,
   * `ERR_PLUGIN_NOT_ALLOWED` for a path outside the folders whose code may run, before any of that code runs, `ERR_PLUGIN_INVALID`, `ERR_PLUGIN_DUPLICATE`.
   */
  async allow(reference: string): Promise<void> {
    const known = this.list().filter(({ id, package: name }) => id === reference || name === reference);
    for (const { id } of known) this.#allowed.add(id);
    if (known.length > 0) return;
    const path = this.#pathOf(reference);
    if (path === undefined || !existsSync(path)) {
      const advice = isPath(reference) ? "Correct the path" : "Install the package, or give a path that starts with ./";
      throw new WinnowError("ERR_PLUGIN_UNKNOWN", `Cannot find the plugin "${reference}". ${advice}.`);
    }
    const real = realpathSync(path);
    if (isPath(reference)) this.#permission?.require(real);
    const plugins = statSync(real).isDirectory() ? pluginsOfFolder(real) : await pluginsOfModule(real);
    if (isPath(reference)) for (const { url } of plugins) this.#permission?.require(realModule(url));
    this.#add(plugins);
    for (const { id } of plugins) this.#allowed.add(id);
  }

  /** The plugin that a configuration names by id, package name or path; of a package with several, the one of these kinds. */
  async resolve(reference: string, kinds: readonly PluginKind[]): Promise<InstalledPlugin> {
    if (isPath(reference)) await this.allow(reference);
    const named = this.find(reference);
    const found = named ? [named] : this.list().filter((plugin) => this.#holds(reference, plugin));
    const fitting = found.filter(({ kind }) => kinds.includes(kind));
    if (fitting.length > 1) {
      throw new WinnowError(
        "ERR_PLUGIN_DUPLICATE",
        `"${reference}" holds several plugins: ${fitting.map(({ id }) => id).join(", ")}. Name one by its id.`,
      );
    }
    const plugin = fitting[0] ?? found[0];
    if (plugin) return plugin;
    throw await this.#unknown(reference, kinds);
  }

  /** The plugin's code. Throws `ERR_PLUGIN_INVALID` if the module does not hold what the manifest says. */
  load(id: string): Promise<PluginDefinition> {
    const known = this.#loaded.get(id);
    if (known) return known;
    const loading = this.#load(id);
    this.#loaded.set(id, loading);
    return loading;
  }

  async #load(id: string): Promise<PluginDefinition> {
    const installed = this.find(id);
    if (!installed) throw await this.#unknown(id);
    const definition = (await pluginsIn(installed.url, id)).find((candidate) => candidate.id === id);
    if (definition?.kind === installed.kind) return definition;
    const found = definition ? `kind "${definition.kind}"` : "no such plugin";
    throw new WinnowError(
      "ERR_PLUGIN_INVALID",
      `Package "${installed.package}" declares plugin "${id}" of kind "${installed.kind}", its module exports ${found}. Correct its package.json.`,
      { plugin: id },
    );
  }

  async #unknown(reference: string, kinds?: readonly PluginKind[]): Promise<WinnowError> {
    const { didYouMean } = await import("../config/nearest.js");
    const candidates = this.list().filter(({ kind }) => !kinds || kinds.includes(kind));
    const known = candidates.map(({ id }) => id);
    return new WinnowError(
      "ERR_PLUGIN_UNKNOWN",
      `There is no plugin "${reference}". ${didYouMean(reference, known)}Installed: ${known.join(", ") || "none"}. Install its package, or list its path under plugins.${this.#brokenText()}`,
    );
  }

  /** The plugin that is asked for may be in one of these. */
  #brokenText(): string {
    return this.#broken.map(({ error }) => ` ${error.message}`).join("");
  }

  #manifestOf(folder: string): InstalledPlugin[] {
    try {
      return readManifest(folder);
    } catch (error) {
      if (!(error instanceof WinnowError)) throw error;
      this.#broken.push({ folder, error });
      return [];
    }
  }

  #add(plugins: readonly InstalledPlugin[]): void {
    for (const [index, plugin] of plugins.entries()) {
      if (reservedPluginIds.includes(plugin.id)) {
        throw new WinnowError(
          "ERR_PLUGIN_INVALID",
          `No plugin can be called "${plugin.id}", as one of ${plugin.package} in "${plugin.folder}" is: the name has a meaning of its own. Rename it.`,
        );
      }
      const before = plugins.slice(0, index).find(({ id }) => id === plugin.id);
      const known = this.#installed.get(plugin.id);
      if (before || (known && known.url !== plugin.url)) throw duplicate(plugin, (before ?? known)!);
      // Found a second time by another way: its manifest, read first, says more than its path.
      if (!known) this.#installed.set(plugin.id, plugin);
    }
  }

  #holds(reference: string, plugin: InstalledPlugin): boolean {
    if (!isPath(reference)) return plugin.package === reference;
    const real = realpathSync(resolve(this.#folders[0], reference));
    return plugin.folder === real || plugin.url === pathToFileURL(real).href;
  }

  #pathOf(reference: string): string | undefined {
    if (isPath(reference)) return resolve(this.#folders[0], reference);
    // A name that climbs out of node_modules would be a path in disguise.
    if (!packageName.test(reference)) return undefined;
    return moduleFolders(this.#folders)
      .map((modules) => join(modules, reference))
      .find((path) => existsSync(path));
  }
}

const packageName = /^(@[\w.~-]+\/)?[\w~-][\w.~-]*$/;

function isPath(reference: string): boolean {
  return reference.startsWith(".") || reference.startsWith("/") || /^[A-Za-z]:[\\/]/.test(reference);
}

/** Where the code of a plugin really lies. */
function realModule(url: string): string {
  const path = fileURLToPath(url);
  return existsSync(path) ? realpathSync(path) : path;
}

function duplicate(plugin: InstalledPlugin, other: InstalledPlugin): WinnowError {
  return new WinnowError(
    "ERR_PLUGIN_DUPLICATE",
    `Two plugins are called "${plugin.id}": one of ${other.package} in "${other.folder}" and one of ${plugin.package} in "${plugin.folder}". Remove or rename one.`,
  );
}

function pluginsOfFolder(folder: string): InstalledPlugin[] {
  const plugins = readManifest(folder);
  if (plugins.length > 0) return plugins;
  throw new WinnowError(
    "ERR_PLUGIN_INVALID",
    `Folder "${folder}" declares no plugin: its package.json needs a "winnow" entry. Add one, or name another folder.`,
  );
}

async function pluginsOfModule(path: string): Promise<InstalledPlugin[]> {
  const url = pathToFileURL(path).href;
  const definitions = await pluginsIn(url);
  return definitions.map(({ id, kind, summary }) => ({
    id,
    kind,
    summary,
    package: basename(path),
    version: "0.0.0",
    folder: dirname(path),
    url,
  }));
}

/** Loads the contracts with their schemas, which reading manifests does without. */
async function pluginsIn(url: string, plugin?: string): Promise<readonly PluginDefinition[]> {
  const { importPlugins } = await import("./load-plugin.js");
  return importPlugins(url, plugin);
}
