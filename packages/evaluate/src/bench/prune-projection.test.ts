import { describe, expect, it } from "vitest";
import { matrixKinds, projectPruning } from "./prune-projection.js";

it("matrixKinds counts the seven matrices of a layer by shape", () => {
  const kinds = matrixKinds({ hiddenSize: 4096, intermediateSize: 11008 });
  expect(kinds.map(({ count, outFeatures, inFeatures }) => [count, outFeatures, inFeatures])).toEqual([
    [4, 4096, 4096],
    [2, 11008, 4096],
    [1, 4096, 11008],
  ]);
});

describe("projectPruning", () => {
  const kinds = matrixKinds({ hiddenSize: 10, intermediateSize: 30 }).map((kind, index) => ({
    ...{ ...kind, seconds: [1, 2, 5][index], peakBytes: 0, workBytes: [100, 300, 200][index] },
  }));
  const inputs = { kinds, tokenSeconds: 0.01, startBytes: 1000 };
  const layerBytes = 2 * (4 * 100 + 2 * 300 + 300);

  it("projectPruning adds matrices and tokens of every layer", () => {
    const { seconds } = projectPruning({ ...inputs, hessian: false }, { layers: 3, tokens: 200 });
    expect(seconds).toBeCloseTo(3 * (200 * 0.01 + 4 * 1 + 2 * 2 + 5), 9);
  });

  it("projectPruning gives no time where that of a token is not known", () => {
    const { seconds, formula } = projectPruning(
      { ...inputs, tokenSeconds: null, hessian: false },
      { layers: 3, tokens: 200 },
    );
    expect([seconds, formula.seconds]).toEqual([null, "3 layers * (200 tokens * unknown + 13.0 s for the matrices)"]);
  });

  it("projectPruning holds a layer twice, and the largest matrix of the method once", () => {
    const { peakBytes } = projectPruning({ ...inputs, hessian: false }, { layers: 3, tokens: 200 });
    expect(peakBytes).toBe(1000 + 2 * layerBytes + 300);
  });

  it("a Hessian for each of the four inputs comes twice on top", () => {
    const { peakBytes } = projectPruning({ ...inputs, hessian: true }, { layers: 3, tokens: 200 });
    expect(peakBytes).toBe(1000 + 2 * layerBytes + 300 + 2 * 4 * (3 * 100 + 900));
  });
});
