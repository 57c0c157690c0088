import { elementAt, type HeadTensor } from "@winnow/core";
import { describePlugin } from "@winnow/testkit";
import plugin from "./index.js";
import { oracleKept } from "./oracle.js";

const vectorsOf = (x: HeadTensor) =>
  Array.from({ length: x.heads }, (_, head) =>
    Array.from({ length: x.length }, (_, token) =>
      Array.from({ length: x.headDim }, (_, channel) => elementAt(x, head, token, channel)),
    ),
  );

describePlugin(plugin, {
  options: { capacity: 20, observationWindow: 8, poolKernel: 3 },
  oracle: ({ q, k }, { capacity, poolKernel, pooling }) =>
    k.length <= capacity
      ? undefined
      : oracleKept({ q: vectorsOf(q), k: vectorsOf(k) }, { capacity, kernel: poolKernel, pooling }),
});
describePlugin(plugin, { options: { keepRatio: 0.25, observationWindow: 8, pooling: "max" } });
