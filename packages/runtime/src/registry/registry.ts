import { existsSync, realpathSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { listOptions, type PluginDefinition, type PluginKind, WinnowError } from "@winnow/core";
import { didYouMean } from "../config/nearest.js";
import { ancestors, pluginFolders } from "./discover.js";
import { importPlugins } from "./load-plugin.js";
import { type InstalledPlugin, readManifest } from "./manifest.js";

export interface RegistryOptions {
  /** Where the configuration lives: node_modules of this folder and of those above it are searched. */
  readonly folder: string;
  /** More plugins, allowed by the configuration: package names, or paths of modules or package folders (absolute). */
  readonly allowed?: readonly string[];
}

/** A module that a configuration names by path; its plugins are known only when it is loaded. */
interface LooseModule {
  readonly path: string;
  readonly url: string;
}

/** Installed plugins by id. Manifests are read at once, code is loaded when a plugin is asked for. Two plugins of one id are an error. */
export class PluginRegistry {
  readonly #installed = new Map<string, InstalledPlugin>();
  readonly #loose: LooseModule[] = [];
  readonly #loaded = new Map<string, Promise<PluginDefinition>>();

  constructor({ folder, allowed = [] }: RegistryOptions) {
    for (const path of pluginFolders(folder)) for (const plugin of readManifest(path)) this.#add(plugin);
    for (const reference of allowed) this.#allow(reference, folder);
  }

  /** Sorted by id. */
  list(): InstalledPlugin[] {
    return [...this.#installed.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  find(id: string): InstalledPlugin | undefined {
    return this.#installed.get(id);
  }

  /** The plugin that a configuration names by id, package name or path. Loads modules that were allowed by path, to learn their ids. */
  async resolve(reference: string, kinds: readonly PluginKind[]): Promise<InstalledPlugin> {
    await this.#openLoose();
    const plugin = this.find(reference) ?? this.#ofPackage(reference, kinds) ?? this.#ofPath(reference, kinds);
    if (plugin) return plugin;
    const known = this.list()
      .filter((candidate) => kinds.includes(candidate.kind))
      .map(({ id }) => id);
    throw new WinnowError(
      "ERR_PLUGIN_UNKNOWN",
      `there is no plugin "${reference}". ${didYouMean(reference, known)}Installed: ${known.join(", ") || "none"}. Install its package, or list its path under plugins.`,
    );
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
    if (!installed) throw new WinnowError("ERR_PLUGIN_UNKNOWN", `There is no plugin "${id}". Install its package.`);
    const definition = (await importPlugins(installed.url)).find((candidate) => candidate.id === id);
    if (definition?.kind !== installed.kind) {
      const found = definition ? `kind "${definition.kind}"` : "no such plugin";
      throw new WinnowError(
        "ERR_PLUGIN_INVALID",
        `Package "${installed.package}" declares plugin "${id}" of kind "${installed.kind}", its module exports ${found}. Correct its package.json.`,
        { plugin: id },
      );
    }
    listOptions(definition.options);
    return definition;
  }

  #add(plugin: InstalledPlugin): void {
    const other = this.#installed.get(plugin.id);
    if (other && other.url !== plugin.url) {
      throw new WinnowError(
        "ERR_PLUGIN_DUPLICATE",
        `Two plugins are called "${plugin.id}": ${other.package} in "${other.folder}" and ${plugin.package} in "${plugin.folder}". Remove one.`,
      );
    }
    this.#installed.set(plugin.id, plugin);
  }

  #allow(reference: string, folder: string): void {
    const path = isPath(reference) ? resolve(folder, reference) : packageFolder(reference, folder);
    if (path === undefined || !existsSync(path)) {
      throw new WinnowError(
        "ERR_PLUGIN_UNKNOWN",
        `Cannot find the plugin "${reference}", listed under plugins. Install the package, or correct the path.`,
      );
    }
    const real = realpathSync(path);
    if (statSync(real).isDirectory()) {
      const plugins = readManifest(real);
      if (plugins.length === 0)
        throw new WinnowError(
          "ERR_PLUGIN_INVALID",
          `Folder "${path}" declares no plugin: its package.json needs a "winnow" entry.`,
        );
      for (const plugin of plugins) this.#add(plugin);
      return;
    }
    this.#loose.push({ path: real, url: pathToFileURL(real).href });
  }

  async #openLoose(): Promise<void> {
    for (const { path, url } of this.#loose.splice(0)) {
      for (const { id, kind, summary } of await importPlugins(url)) {
        this.#add({ id, kind, summary, package: basename(path), version: "0.0.0", folder: dirname(path), url });
      }
    }
  }

  #ofPackage(name: string, kinds: readonly PluginKind[]): InstalledPlugin | undefined {
    return this.#only(
      name,
      this.list().filter((plugin) => plugin.package === name && kinds.includes(plugin.kind)),
    );
  }

  #ofPath(reference: string, kinds: readonly PluginKind[]): InstalledPlugin | undefined {
    if (!isPath(reference)) return undefined;
    const end = reference.replace(/^\.{1,2}\//, "");
    const inPath = (plugin: InstalledPlugin) => plugin.url.endsWith(`/${end}`) || plugin.folder.endsWith(`/${end}`);
    return this.#only(
      reference,
      this.list().filter((plugin) => kinds.includes(plugin.kind) && inPath(plugin)),
    );
  }

  #only(reference: string, found: readonly InstalledPlugin[]): InstalledPlugin | undefined {
    if (found.length < 2) return found[0];
    throw new WinnowError(
      "ERR_PLUGIN_DUPLICATE",
      `"${reference}" holds several plugins: ${found.map(({ id }) => id).join(", ")}. Name one by its id.`,
    );
  }
}

function isPath(reference: string): boolean {
  return reference.startsWith(".") || reference.startsWith("/") || /^[A-Za-z]:[\\/]/.test(reference);
}

/** Folder of an installed package, without running it. */
function packageFolder(name: string, folder: string): string | undefined {
  const require = createRequire(join(folder, "package.json"));
  const searched = require.resolve.paths(name) ?? ancestors(folder).map((path) => join(path, "node_modules"));
  return searched.map((modules) => join(modules, name)).find((path) => existsSync(path));
}
