#pragma once

#include <cstddef>
#include <cstdint>

#include "attention/attention.h"
#include "base/context.h"
#include "base/dtype.h"

namespace winnow {

enum class Activation { silu, gelu, geluTanh, relu };

/** Row `ids[r]` of `table` `[vocabulary, width]` to row r of `out`, as float32. */
struct EmbedTask {
  const int32_t* ids;
  size_t rows;
  Dtype dtype;
  const void* table;
  size_t width;
  float* out;
};

void embed(Context& context, const EmbedTask& task);

/** Root mean square norm of each row; the sum of squares is taken in float64, 16 lanes and a tree. `out` may be `x`. */
struct RmsNormTask {
  const float* x;
  size_t rows;
  size_t width;
  const float* weight;
  double epsilon;
  float* out;
};

void rmsNorm(Context& context, const RmsNormTask& task);

/** Rotary embedding in place: channels c and c + headDim / 2 turn by row `positions[token]` of `cosine` and `sine` `[*, headDim / 2]`. */
struct RopeTask {
  HeadView<float> x;
  const int32_t* positions;
  const float* cosine;
  const float* sine;
};

void rope(Context& context, const RopeTask& task);

/** gate = activation(gate) * up. Relative error of the activations below 1e-6 where they are normal numbers. */
void gatedActivation(Context& context, float* gate, const float* up, size_t count, Activation activation);

/** x += y. */
void add(Context& context, float* x, const float* y, size_t count);

}  // namespace winnow
