import { describePlugin } from "@winnow/testkit";
import plugin from "./index.js";

const sizes = { sinkTokens: 2, recentTokens: 3, verticalSize: 6, slashSize: 4, keepBlocks: 2 };
const heads = {
  0: ["vertical_and_slash", 6, 4],
  1: ["stream_llm", 5, 20],
  2: ["block_sparse", 2, 1],
};

describePlugin(plugin, { options: sizes });
describePlugin(plugin, { options: { ...sizes, headConfig: [heads, heads, heads, heads] } });
describePlugin(plugin, { options: { ...sizes, strictReference: true } });
