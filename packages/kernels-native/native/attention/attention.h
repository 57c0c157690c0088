#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/context.h"
#include "base/dtype.h"

namespace winnow {

constexpr size_t kMostHeadDim = 256;

/** `[heads, length, headDim]`; element (head, token, c) stands at `data[head * headStride + token * tokenStride + c]` (strides in elements). */
template <class T>
struct HeadView {
  T* data;
  size_t heads;
  size_t length;
  size_t headDim;
  size_t headStride;
  size_t tokenStride;
};

/** K or V: `data` points to float or to bf16 bits. */
struct CacheView {
  Dtype dtype;
  const void* data;
  size_t heads;
  size_t length;
  size_t headDim;
  size_t headStride;
  size_t tokenStride;
};

/** Most rows of one query block of a mask. */
constexpr int64_t kQueryBlock = 64;

/** Pair (i, j) passes iff j < sinkTokens or i - j < recentTokens or i >= denseFromRow. */
struct Band {
  int64_t sinkTokens;
  int64_t recentTokens;
  int64_t denseFromRow;
};

constexpr int kMaxBands = 8;

enum class MaskForm { dense, band, ranges };

/** Support of one query head; the fields are those of the TypeScript masks. Every form is causal. */
struct PrefillMask {
  MaskForm form = MaskForm::dense;
  /** Form `band`: the first one. Form `ranges`: bit t of a range's flags stands for `bands[t]`. */
  Band bands[kMaxBands] = {};
  /** Rows per query block of form `ranges`, 1..kQueryBlock. */
  int64_t blockSize = kQueryBlock;
  const int32_t* rangeOffsets = nullptr;
  const int32_t* ranges = nullptr;
  const uint8_t* rangeFlags = nullptr;
  const int32_t* columnOffsets = nullptr;
  const int32_t* columns = nullptr;
};

struct PrefillTask {
  /** `[h, n, d]`. */
  HeadView<const float> q;
  /** `[hKv, n, d]`, both of one type. bf16: q and the softmax weights are rounded to bf16 and sums are float32. */
  CacheView k;
  CacheView v;
  /** `[h, n, d]`; may be the memory of q with the same strides. A row without keys becomes zeros. */
  HeadView<float> out;
  float scale;
  /** One per query head, or a single one for all. */
  std::vector<PrefillMask> masks;
  /** `[h, n]` or null: natural log of the sum of exponentials; -infinity for a row without keys. */
  float* logSumExp = nullptr;
  /** Non-zero stops the call at the next query block; null: never. */
  const volatile int32_t* cancel = nullptr;
};

struct AttentionCost {
  /** Query-key pairs whose score was computed, masked ones of edge tiles included. */
  uint64_t cellsComputed = 0;
  /** Bytes of K and V rows that were read, once per query block and head (prefill) or per head group (decode). */
  uint64_t bytesRead = 0;
};

enum class Status { ok, cancelled };

/** Flash attention over 16-key tiles: a tile without kept cells costs nothing. Scratch is O(hKv * n * d). d in 1..256, any n. */
Status prefillAttention(Context& context, const PrefillTask& task, AttentionCost& cost);

/** Cached rows of which `kept` elements each are stored: PackedRows of @winnow/core. */
struct PackedView {
  Dtype dtype;
  size_t heads, length, capacity, headDim, kept;
  /** `[heads, capacity, ceil(headDim / 8)]`, contiguous. */
  const uint8_t* bitmap;
  /** `[heads, capacity, kept]`, contiguous. */
  const void* values;
};

struct PackedCache {
  PackedView k;
  PackedView v;
};

/** Row `head * length + token` of packed rows. */
struct WrongRows {
  static constexpr size_t kNone = SIZE_MAX;
  size_t k = kNone;
  size_t v = kNone;

  bool none() const { return k == kNone && v == kNone; }
};

struct DecodeTask {
  /** `[h, 1, d]`. */
  HeadView<const float> q;
  /** `[hKv, length, d]`, both of one type; bf16: as in prefill. */
  CacheView k;
  CacheView v;
  /** `[h, 1, d]`; may be the memory of q. */
  HeadView<float> out;
  float scale;
  /** Head i reads tokens `indices[offsets[i]] .. indices[offsets[i + 1] - 1]`, ascending; null: all tokens. */
  const int32_t* indices = nullptr;
  const int32_t* offsets = nullptr;
  /** `[hKv]` or null: tokens of each KV head where they differ; only without lists. */
  const int32_t* lengths = nullptr;
  /** `[h, k.length]` or null: scaled scores of the tokens read, others untouched; only without lists. */
  float* scores = nullptr;
  /** `[h]` or null. */
  float* logSumExp = nullptr;
  /** Tokens that stand before those of k and v, or null; without lists, lengths and scores. */
  const PackedCache* packed = nullptr;
};

/**
 * One query per head. Keys are taken in chunks of a fixed size that are merged in order. K and V are read, and packed rows expanded, once per
 * group of query heads. Returns the first packed rows that do not have as many bits as are kept; if there are any, nothing is written.
 */
WrongRows decodeAttention(Context& context, const DecodeTask& task, AttentionCost& cost);

}  // namespace winnow
