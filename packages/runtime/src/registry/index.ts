// Finds plugins and reads their manifests; loads a plugin's code, and what checks it, only when asked to.
export { type InstalledPlugin, readManifest } from "./manifest.js";
export { type BrokenPackage, PluginRegistry, type RegistryOptions } from "./registry.js";
