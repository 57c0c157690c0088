#pragma once

#include <cstddef>
#include <cstdint>

#include "base/context.h"
#include "base/dtype.h"
#include "channels/select.h"
#include "elementwise/elementwise.h"

namespace winnow {

/** A matrix that is stored by input channels, `[in, out]`, or by output rows, `[out, in]`. */
struct MatrixView {
  Dtype dtype;
  const void* data;
  size_t inFeatures;
  size_t outFeatures;
  bool byChannels;
  /** `[outFeatures]` or null. */
  const float* bias;

  size_t bytes() const { return inFeatures * outFeatures * bytesOf(dtype); }
  size_t biasBytes() const { return bias == nullptr ? 0 : outFeatures * sizeof(float); }
};

/** `inputs` `[in, rank]` and `outputs` `[rank, out]`; rank 0: none. */
struct LowRank {
  Dtype dtype = Dtype::f32;
  size_t rank = 0;
  const void* inputs = nullptr;
  const void* outputs = nullptr;
};

/** Bytes of the weight that were read, or the row of x in which a score is NaN; then `out` is undefined. */
struct ReadBytes {
  size_t bytes = 0;
  ptrdiff_t badRow = -1;
};

/**
 * x `[rows, in]` times the whole matrix into `out` `[rows, out]`, on top of it with `accumulate`. Sums have the order of `linear` on `dense-panel16` (with bf16, x is rounded),
 * so a row has the same bits alone and among others, for any number of threads and instruction set. `out` must not overlap x.
 */
struct DenseRowsTask {
  const float* x;
  size_t rows;
  MatrixView weight;
  float* out;
  bool accumulate;
};

ReadBytes denseRows(Context& context, const DenseRowsTask& task);

/**
 * As {@link denseRows} with a matrix by channels, but the last `sparseRows` rows multiply only the channels that are selected by x itself, all others go through the factors:
 * `out = bias + sum over selected j of x_j * data[j] + outputs^T (inputs^T x_rest)`. Every sum is a chain of float32 FMA with j ascending, x is not rounded.
 */
struct ChannelsTask {
  DenseRowsTask rows;
  size_t sparseRows;
  Selection selection;
  LowRank lowRank;
};

ReadBytes channelsLinear(Context& context, const ChannelsTask& task);

/**
 * Activates `gate` `[out]` in place, then `out[o] = gate[o] * (weight[o] . x + bias[o])` for the selected entries of gate, 0 elsewhere. A matrix by rows; x is not rounded;
 * a dot product has 16 float32 FMA chains, lane i taking inputs i, i + 16, ..., added by a tree.
 */
struct GatedTask {
  const float* x;
  float* gate;
  MatrixView weight;
  Selection selection;
  Activation activation;
  float* out;
};

ReadBytes gatedLinear(Context& context, const GatedTask& task);

}  // namespace winnow
