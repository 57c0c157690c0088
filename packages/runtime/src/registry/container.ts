import "reflect-metadata";
import { container, type DependencyContainer, type InjectionToken } from "tsyringe";
import type { ConfigDocument } from "../config/config.js";
import { PluginRegistry } from "./registry.js";

/** Services of one engine. Explicit tokens: no constructor types are inferred, so any transform of the sources works. */
export const tokens = {
  config: Symbol("config") as InjectionToken<ConfigDocument>,
  registry: Symbol("registry") as InjectionToken<PluginRegistry>,
};

/** A child container of its own for each engine, so that two engines never share a service. */
export function createEngineContainer(
  config: ConfigDocument,
  allowPlugins: readonly string[] = [],
): DependencyContainer {
  const child = container.createChildContainer();
  child.register(tokens.config, { useValue: config });
  let registry: PluginRegistry | undefined;
  child.register(tokens.registry, {
    useFactory: () => {
      registry ??= new PluginRegistry({ folder: config.folder, allowPlugins, anyPath: config.file === undefined });
      return registry;
    },
  });
  return child;
}
