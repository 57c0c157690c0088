import { definePlugin, requirePlugins } from "@winnow/core";
import { options } from "./options.js";
import { unionOfMasks } from "./union-masks.js";

export default definePlugin({
  id: "union-masks",
  kind: "masker",
  summary: "Union of masks: what any of several maskers keeps.",
  source: { title: "Set union of masks; no paper" },
  options,
  create: ({ of }, _, plugins) => unionOfMasks(of.map((inner) => requirePlugins(plugins).masker(inner))),
});
