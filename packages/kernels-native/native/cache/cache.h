#pragma once

#include <cstddef>
#include <cstdint>

#include "attention/attention.h"
#include "base/context.h"

namespace winnow {

/** A `CacheView` that may be written. */
struct CacheTarget {
  Dtype dtype;
  void* data;
  size_t heads;
  size_t length;
  size_t headDim;
  size_t headStride;
  size_t tokenStride;
};

/** Copies all tokens of `source` to tokens start, start + 1, ... of `target`, rounding to its type. Memory bound; heads and tokens run in parallel. */
void storeTokens(Context& context, const HeadView<const float>& source, const CacheTarget& target, size_t start);

/**
 * Moves tokens `kept[offsets[g]] .. kept[offsets[g + 1] - 1]` (ascending) of head g of `x` to tokens 0, 1, ... of `target`.
 * `target` may be the memory of `x` with the same strides: token i comes from kept[i] >= i, so ascending moves never read what was overwritten.
 */
void gatherTokens(Context& context, const CacheView& x, const int32_t* kept, const int32_t* offsets, const CacheTarget& target);

}  // namespace winnow
