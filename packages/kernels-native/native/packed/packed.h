#pragma once

#include "attention/attention.h"
#include "base/context.h"

namespace winnow {

/** A `PackedView` that may be written. */
struct PackedTarget {
  size_t capacity;
  size_t kept;
  uint8_t* bitmap;
  void* values;
};

/**
 * Stores elements `indices[(head * n + token) * kept ..]` (ascending, below headDim) of row (head, token) of `source` as row start + token of head
 * `head` of `target`, whose type is that of `source`. Memory bound; heads and tokens run in parallel.
 */
void packTokens(Context& context, const CacheView& source, const uint16_t* indices, const PackedTarget& target, size_t start);

/** First of `rows` lists of `kept` indices that does not ascend or leaves [0, headDim), or -1. */
ptrdiff_t wrongIndices(const uint16_t* indices, size_t rows, size_t kept, size_t headDim);

}  // namespace winnow
