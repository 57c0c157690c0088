#pragma once

#include "attention/attention.h"
#include "attention/tile_plan.h"

namespace winnow {

/** Sizes that follow from head dimension and type; elements unless said otherwise. */
struct HeadShape {
  HeadShape(Dtype type, size_t dim)
      : dtype(type),
        headDim(dim),
        keySteps(type == Dtype::bf16 ? (dim + 1) / 2 : dim),
        queryStride(type == Dtype::bf16 ? keySteps * 2 : keySteps),
        valueVecs((dim + 15) / 16),
        valueDim(valueVecs * 16),
        keyTileBytes(keySteps * 64),
        valueTileBytes(static_cast<size_t>(kTileKeys) * valueDim * bytesOf(type)) {}

  Dtype dtype;
  size_t headDim;
  /** Steps of a score: d, or pairs of d. */
  size_t keySteps;
  size_t queryStride;
  size_t valueVecs;
  size_t valueDim;
  size_t keyTileBytes;
  size_t valueTileBytes;
};

/** 16 rows of K and V into a packed tile; a null row is zeros. */
struct PackTile {
  const HeadShape* shape;
  const void* keyRows[16];
  const void* valueRows[16];
  void* keys;
  void* values;
};

/**
 * What the next step reads from anywhere in memory: fetched a few cache lines at a time while a step is computed, since the processor stalls on
 * many asked for at once.
 */
class FetchQueue {
 public:
  static constexpr size_t kLine = 64;

  void clear() { spans_ = lines_ = taken_ = 0; }

  void push(const void* from, size_t bytes) {
    const char* begin = static_cast<const char*>(from);
    span_[spans_++] = {begin, begin + bytes};
    lines_ += (bytes + kLine - 1) / kLine;
  }

  /** Spreads the lines over about `turns` calls of `turn`. */
  void share(size_t turns) { perTurn_ = lines_ / turns + 1; }

  void turn() {
    for (size_t left = perTurn_; left > 0 && taken_ < spans_; --left) {
      Span& span = span_[taken_];
      __builtin_prefetch(span.at, 0, 3);
      span.at += kLine;
      if (span.at >= span.end) ++taken_;
    }
  }

 private:
  struct Span {
    const char *at, *end;
  };
  /** A row of K and one of V for each key of a step. */
  Span span_[2 * kStepTiles * kTileKeys];
  size_t spans_ = 0, lines_ = 0, taken_ = 0, perTurn_ = 1;
};

/** Rows of the scratch of a query block: a multiple of every tile height up to 8 must fit above 64 rows. */
constexpr size_t kBlockScratchRows = static_cast<size_t>(kQueryBlock) + 8;
constexpr size_t kStepKeys = static_cast<size_t>(kStepTiles * kTileKeys);

/** Online softmax of one query block and head: all in scratch of one thread. */
struct BlockState {
  const HeadShape* shape;
  size_t rows;
  /** `scale` times log2(e): scores are kept in powers of two. */
  float scale;
  /** `[rows, queryStride]` in the type of K. */
  void* query;
  /** `[rows, kStepKeys]`: scores, then weights. */
  float* scores;
  /** `[rows, kStepKeys]`, bf16 only. */
  uint16_t* weights;
  /** `[rows, valueDim]`. */
  float* sums;
  /** `[rows]`: largest score so far. */
  float* largest;
  /** `[rows, 16]`: sums of weights by lane. */
  float* weightSums;
  /** Room for gathered columns: kStepTiles tiles of each. */
  uint8_t* gatheredKeys;
  uint8_t* gatheredValues;
  FetchQueue* ahead;
};

/** One tile of a step as the kernel sees it. */
struct StepTile {
  const void* keys;
  const void* values;
};

struct BlockStep {
  int count;
  StepTile tiles[kStepTiles];
  bool tested[kStepTiles];
  /** Kept lanes of each row, of tested tiles only. */
  uint16_t kept[kStepTiles][kQueryBlock];
};

/** Some keys times the query heads that share them. */
struct DecodeChunk {
  const HeadShape* shape;
  /** `[heads, queryStride]`, zero-padded to expandedStride(headDim) elements. */
  const void* query;
  size_t queryStride;
  size_t heads;
  const void* keys;
  const void* values;
  size_t keyStride;
  size_t valueStride;
  /** Null: rows [0, count) of keys and values; else rows indices[0 .. count). */
  const int32_t* indices;
  size_t count;
  float scale;
  /** `[heads, kDecodeChunk]` scratch. */
  float* weights;
  /** Row g at `scores[g * scoreStride]`, or null. */
  float* scores;
  size_t scoreStride;
  /** Per head: valueDim sums, then the largest score and the sum of weights. */
  float* partial;
  size_t partialStride;
};

constexpr size_t kDecodeChunk = 512;
/** Keys whose values stay in the first-level cache while heads and channels pass over them. */
constexpr size_t kDecodeKeys = 32;

constexpr size_t kPackedProducts = 16 * 16;

/** Successive packed rows of one KV head. */
struct PackedRun {
  const uint8_t* bitmap;
  const void* values;
  /** Where the memory of all values ends. */
  const void* end;
  size_t kept;
};

/** A chunk whose first keys are packed; `all.keys` and `all.values` are the rows that follow them. No lists, no scores. */
struct PackedChunk {
  DecodeChunk all;
  PackedRun keys;
  PackedRun values;
  size_t packed;
  /** Scratch `[heads, kPackedProducts]`: products of 16 keys before their lanes are summed. */
  float* products;
  /** Scratch, expandedStride(headDim) elements for each of kDecodeKeys rows. */
  void* expanded;
};

/** Rows are expanded into 64, 128 or 256 elements. */
static inline size_t expandedStride(size_t headDim) { return headDim <= 64 ? 64 : headDim <= 128 ? 128 : 256; }

/** Merges `count` partials, in order, into one row. */
struct DecodeMerge {
  const HeadShape* shape;
  const float* partials;
  size_t count;
  size_t partialStride;
  float* out;
  /** Largest score and sum of weights of the whole. */
  float largest;
  float weightSum;
};

struct AttentionKernels {
  void (*packTile)(const PackTile&);
  void (*beginBlock)(const BlockState&, const float* q, size_t tokenStride);
  void (*step)(const BlockState&, const BlockStep&);
  /** Writes the rows; `weightSums[r * 16]` becomes the sum of row r. */
  void (*finishBlock)(const BlockState&, float* out, size_t tokenStride);
  void (*prepareQuery)(const HeadShape&, const float* q, void* prepared, size_t stride);
  void (*decodeChunk)(const DecodeChunk&);
  /** The first rows whose bits are not as many as are kept, relative to the chunk; then its partials mean nothing. */
  WrongRows (*packedChunk)(const PackedChunk&);
  void (*decodeMerge)(DecodeMerge&);
};

namespace generic {
extern const AttentionKernels attentionKernels;
}
namespace avx2 {
extern const AttentionKernels attentionKernels;
}
namespace avx512 {
extern const AttentionKernels attentionKernels;
}

const AttentionKernels& attentionKernelsOf(Isa isa);

}  // namespace winnow
