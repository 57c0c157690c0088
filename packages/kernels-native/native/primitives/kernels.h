#pragma once

#include <cstddef>
#include <cstdint>

#include "base/cpu_features.h"
#include "base/dtype.h"

namespace winnow {

/** Scores of some keys (at most kKeysPerBlock) with all queries. */
struct ScoreBlock {
  const float* q;
  size_t queries;
  size_t queryStride;
  Dtype dtype;
  /** First key of the block. */
  const void* k;
  size_t keys;
  size_t keyStride;
  size_t headDim;
  float scale;
  /** Key j of the block is allowed in row r iff j <= lastAllowed + r. */
  int64_t lastAllowed;
  float* out;
  size_t outStride;
  /** `[ceil16(headDim)][kKeysPerBlock]`: the keys, transposed. */
  float* scratch;
};

constexpr size_t kKeysPerBlock = 128;

/** Sums over rows at positions [begin, end): row r adds x[r, p - shift] with shift = skewed ? rows - 1 - r : 0 where p >= shift. */
struct SumStrip {
  const float* x;
  size_t rows;
  size_t columns;
  bool skewed;
  size_t begin;
  size_t end;
  /** `[end - begin]`. */
  double* sums;
};

constexpr size_t kColumnsPerStrip = 256;

/** Sum over `tokens` rows of `width` channels. */
struct TokenSum {
  Dtype dtype;
  const void* x;
  size_t tokens;
  size_t tokenStride;
  size_t width;
  /** Multiplies the sum. */
  double factor;
  float* out;
};

/** Inner loops that gain from vectors: one source, `kernels.inc`, compiled for each instruction set. Same bits from each. */
struct PrimitiveKernels {
  void (*scoreBlock)(const ScoreBlock&);
  /** False if the row holds NaN or +infinity. */
  bool (*softmaxRow)(float* x, size_t columns);
  void (*sumStrip)(const SumStrip&);
  void (*sumTokens)(const TokenSum&);
  /** Unsigned keys in the order of the floats; -0 and 0 get the same. False if a value is NaN. */
  bool (*orderedKeys)(const float* values, size_t count, uint32_t* keys);
  /** Ascending indices of the keys >= lowest, into room for 16 more than there are; returns how many. */
  size_t (*collect)(const uint32_t* keys, size_t count, uint32_t lowest, uint32_t* indices);
  /** The keys whose bits under `mask` are `prefix`, in order, into room for 16 more than there are (may be `keys` itself); returns how many. */
  size_t (*keysWithPrefix)(const uint32_t* keys, size_t count, uint32_t prefix, uint32_t mask, uint32_t* out);
};

const PrimitiveKernels& primitiveKernels(Isa isa);

}  // namespace winnow
