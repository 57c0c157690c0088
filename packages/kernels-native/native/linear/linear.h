#pragma once

#include <cstddef>

#include "base/context.h"
#include "base/dtype.h"

namespace winnow {

/**
 * `out[r, o] = bias[o] + sum_i x[r, i] * weight[o, i]`, on top of the old `out` with `accumulate`.
 * The sum of one element starts at bias (+ old out) and takes i = 0, 1, ... in turn (bf16: in pairs, the odd one first), whatever the rows per
 * call, threads or instruction set, so the bits do not depend on them. bf16 weights: x is rounded to bf16, sums are float32.
 * `out` must not overlap `x`.
 */
struct LinearTask {
  /** `[rows, inFeatures]`. */
  const float* x;
  size_t rows;
  size_t inFeatures;
  size_t outFeatures;
  /** `dense-panel16` layout: f32 `[ceil(out / 16)][in][16]`, bf16 `[ceil(out / 16)][ceil(in / 2)][16][2]`. */
  Dtype dtype;
  const void* weight;
  /** `[outFeatures]` or null. */
  const float* bias;
  /** `[rows, outFeatures]`. */
  float* out;
  bool accumulate;
};

void linear(Context& context, const LinearTask& task);

/** Row-major `[outFeatures, inFeatures]` of type `from` into `dense-panel16` of type `to`, padding with zeros. */
struct PackWeightTask {
  Dtype from;
  const void* weight;
  size_t outFeatures;
  size_t inFeatures;
  Dtype to;
  void* packed;
};

void packWeight(Context& context, const PackWeightTask& task);

}  // namespace winnow
