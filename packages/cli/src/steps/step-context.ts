import type { ConfigDocument } from "@winnow/runtime";
import type { EngineHost } from "./engine-host.js";

/** What steps share. */
export interface StepContext {
  readonly config: ConfigDocument;
  readonly host: EngineHost;
}
