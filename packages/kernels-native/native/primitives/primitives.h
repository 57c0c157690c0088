#pragma once

#include <cstddef>
#include <cstdint>

#include "attention/attention.h"
#include "base/context.h"
#include "primitives/top_k.h"

namespace winnow {

/** Heavy steps of estimation; see `Primitives` of @winnow/core for the mathematics. Work is split in the same way whatever the number of threads. */

struct ScoreTask {
  /** `[queries, headDim]` with `queryStride` elements from row to row. */
  const float* q;
  size_t queries;
  size_t queryStride;
  Dtype dtype;
  /** `[keys, headDim]`. */
  const void* k;
  size_t keys;
  size_t keyStride;
  size_t headDim;
  float scale;
  /** Entries j > causalOffset + r become -infinity; kNotCausal: none. */
  int64_t causalOffset;
  /** `[queries, keys]`. */
  float* out;
};

constexpr int64_t kNotCausal = int64_t{1} << 40;

/** bf16 keys are widened exactly, q stays float32; products are fused into 16 float32 accumulators (channel mod 16), added by a fixed tree. */
void scores(Context& context, const ScoreTask& task);

/** In place. Returns the first row that holds NaN or +infinity (rows are undefined then), or -1. */
ptrdiff_t softmaxRows(Context& context, float* x, size_t rows, size_t columns);

/** 64 rows at a time in float32, those sums in float64. */
void columnSums(Context& context, const float* x, size_t rows, size_t columns, float* out);
void diagonalSums(Context& context, const float* x, size_t rows, size_t columns, float* out);

/** `out` `[blocks, headDim]`; `head` points to the head's first token. Blocks behind the last token become zeros. */
struct PoolTask {
  Dtype dtype;
  const void* head;
  size_t length;
  size_t headDim;
  size_t tokenStride;
  size_t blockSize;
  size_t blocks;
  float* out;
};

void poolMean(Context& context, const PoolTask& task);

}  // namespace winnow
