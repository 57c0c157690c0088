#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "attention/attention.h"

namespace winnow {

/** Keys of one vector of scores. */
constexpr int64_t kTileKeys = 16;

/** Tiles that share one pass of the online softmax: fixes the order of sums, so it is the same on all instruction sets. */
constexpr int kStepTiles = 8;

/** 16 keys that a query block looks at: a tile of the packed cache, or single columns. */
struct TileRef {
  /** First key of a cache tile. */
  int64_t firstKey;
  /** Not null: the keys are `columns[0 .. columnCount)` instead. */
  const int32_t* columns;
  int columnCount;
  /** Lanes inside the range. */
  uint32_t lanes;
  /** Bands that some cell of the tile fails. */
  uint32_t bands;
  /** Whether some cell may be masked. */
  bool tested;
};

struct TileStep {
  TileRef tiles[kStepTiles];
  int count;
};

/**
 * Fewest keys of a range that are worth a tile of their own. Ranges start and end anywhere, so their first and last tile are often nearly
 * empty; fewer keys are gathered with those of other ranges instead, as if they were single columns.
 */
constexpr int64_t kFewestKeys = 12;

/**
 * Enumerates the tiles of rows [rowBegin, rowEnd) that hold at least one kept cell, in ascending order of keys; then the gathered ends of ranges,
 * then the columns. Tiles refer to memory of the plan and of the mask.
 */
class TilePlan {
 public:
  TilePlan(const PrefillMask& mask, int64_t block, int64_t rowBegin, int64_t rowEnd);

  /** The next tiles; false at the end. */
  bool next(TileStep& step);

 private:
  struct Segment {
    int64_t begin, end;
    uint32_t bands;
  };

  size_t segmentCount() const;
  Segment segment(size_t index) const;
  void planBand();
  bool nextTile(TileRef& tile);
  bool nextGathered(TileRef& tile);
  bool nextColumns(TileRef& tile);
  bool openSegment();

  const PrefillMask& mask_;
  const int64_t block_, rowBegin_, rowEnd_;
  /** Of forms dense and band. */
  Segment fixed_[2];
  size_t fixedCount_ = 0;
  size_t segmentIndex_ = 0;
  Segment current_{0, 0, 0};
  int64_t key_ = 0;
  /** Keys of nearly empty tiles, all before the block's first row. Complete before the first of them is handed out. */
  std::vector<int32_t> gathered_;
  size_t gatheredTaken_ = 0;
  int32_t column_ = 0, columnEnd_ = 0;
};

/** Whether every row from `rowBegin` on keeps exactly `tile.lanes`: no causal edge and no band goes through the tile. */
bool isSameForRows(const TileRef& tile, int64_t rowBegin);

/** Lanes of `tile` that row `row` keeps. */
uint32_t keptLanes(const PrefillMask& mask, const TileRef& tile, int64_t row);

/** Keys that a block looks at, roughly: heavy blocks are scheduled first. */
int64_t estimateKeys(const PrefillMask& mask, int64_t block, int64_t rowEnd);

/** Rows per query block of a mask. */
int64_t blockRows(const PrefillMask& mask);

}  // namespace winnow
