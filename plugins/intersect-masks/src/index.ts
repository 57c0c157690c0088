import { definePlugin, requirePlugins } from "@winnow/core";
import { intersectionOfMasks } from "./intersect-masks.js";
import { options } from "./options.js";

export default definePlugin({
  id: "intersect-masks",
  kind: "masker",
  summary: "Intersection of masks: what all of several maskers keep, and the diagonal.",
  source: { title: "Set intersection of masks; no paper" },
  options,
  create: ({ of }, _, plugins) => intersectionOfMasks(of.map((inner) => requirePlugins(plugins).masker(inner))),
});
