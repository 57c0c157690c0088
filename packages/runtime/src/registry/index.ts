export { checkPlugins, type PluginCheck } from "./check-plugin.js";
export { type InstalledPlugin, readManifest } from "./manifest.js";
export { type BrokenPackage, PluginRegistry, type RegistryOptions } from "./registry.js";
