#pragma once

#include "channels/channels.h"

namespace winnow {

/** `out[o] += sum_i values[i] * data[indices[i], o]` for columns [begin, end) of `data` `[channels, width]`, i ascending. */
struct ChannelSum {
  Dtype dtype;
  const void* data;
  size_t width;
  /** Null: 0, 1, 2, ... */
  const int32_t* indices;
  const float* values;
  size_t count;
  float* out;
  size_t begin, end;
};

/** `out[rows[i]] = factors[i] * (data[rows[i]] . x + bias[rows[i]])` for i in [begin, end). */
struct RowDots {
  const MatrixView* weight;
  const float* x;
  const int32_t* rows;
  const float* factors;
  float* out;
  size_t begin, end;
};

/** Steps (see base/gemm.inc) and panels of one gathered tile: what stays in the second-level cache while all rows pass over it. */
constexpr size_t kTileSteps = 128;
constexpr size_t kTilePanels = 8;
/** In floats: a step of a panel has 64 bytes. */
constexpr size_t kTileFloats = kTileSteps * kTilePanels * 16;

/** Some rows times some panels, at most kTilePanels. */
struct DenseBlock {
  const DenseRowsTask* task;
  /** `[rows, xStride]` in the weight's type. */
  const void* x;
  size_t xStride;
  size_t rowBegin, rowEnd;
  size_t panelBegin, panelEnd;
  /** Room for kTileFloats. */
  void* tile;
};

struct ChannelKernels {
  /** By threshold. Returns how many, or -1 if a score is NaN. */
  ptrdiff_t (*selectAbove)(const Selection&, const float* x, size_t size, const Selected& to);
  /** -1 where x is 0. */
  void (*scores)(const Selection&, const float* x, size_t size, float* scores);
  void (*sumChannels)(const ChannelSum&);
  void (*dotRows)(const RowDots&);
  void (*multiplyBlock)(const DenseBlock&);
  /** To bf16, padded with 0 to an even width. */
  void (*roundRow)(const float* x, size_t width, uint16_t* rounded);
};

namespace generic {
extern const ChannelKernels channelKernels;
}
namespace avx2 {
extern const ChannelKernels channelKernels;
}
namespace avx512 {
extern const ChannelKernels channelKernels;
}

const ChannelKernels& channelKernels(Isa isa);

/** `out` (+)= bias + the sum over a list of channels (indices null: all of them), columns divided among the threads. */
void sumListed(Context& context, const MatrixView& weight, const Selected& list, float* out, bool accumulate);

}  // namespace winnow
