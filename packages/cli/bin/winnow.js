#!/usr/bin/env node
import module from "node:module";

// Node.js 22.8 and newer keeps compiled code, so that the next command starts sooner.
module.enableCompileCache?.();
await import("../dist/main.js");
