#include "attention/tile_plan.h"

#include <algorithm>

namespace winnow {
namespace {

constexpr uint32_t kAllLanes = 0xffff;

uint32_t lowLanes(int64_t count) { return (1u << std::clamp<int64_t>(count, 0, kTileKeys)) - 1; }

uint32_t bandLanes(const Band& band, int64_t firstKey, int64_t row) {
  if (row >= band.denseFromRow) return kAllLanes;
  return lowLanes(band.sinkTokens - firstKey) | (kAllLanes & ~lowLanes(row - band.recentTokens + 1 - firstKey));
}

enum class Coverage { none, some, all };

/** How much of the cells (rows [rowBegin, rowEnd), keys [begin, end)) a band keeps. */
Coverage bandCoverage(const Band& band, int64_t rowBegin, int64_t rowEnd, int64_t begin, int64_t end) {
  if (rowBegin >= band.denseFromRow || end <= band.sinkTokens || rowEnd - 1 - begin < band.recentTokens) return Coverage::all;
  const bool none = rowEnd <= band.denseFromRow && begin >= band.sinkTokens && rowBegin - (end - 1) >= band.recentTokens;
  return none ? Coverage::none : Coverage::some;
}

}  // namespace

int64_t blockRows(const PrefillMask& mask) { return mask.form == MaskForm::ranges ? mask.blockSize : kQueryBlock; }

TilePlan::TilePlan(const PrefillMask& mask, int64_t block, int64_t rowBegin, int64_t rowEnd)
    : mask_(mask), block_(block), rowBegin_(rowBegin), rowEnd_(rowEnd) {
  if (mask.form == MaskForm::dense) {
    fixed_[0] = {0, rowEnd, 0};
    fixedCount_ = 1;
  } else if (mask.form == MaskForm::band) {
    planBand();
  } else {
    column_ = mask.columnOffsets[block];
    columnEnd_ = mask.columnOffsets[block + 1];
  }
  openSegment();
}

void TilePlan::planBand() {
  const Band& band = mask_.bands[0];
  const int64_t recentBegin = std::max<int64_t>(0, rowBegin_ - band.recentTokens + 1);
  if (rowEnd_ > band.denseFromRow || recentBegin <= band.sinkTokens) {
    fixed_[0] = {0, rowEnd_, 1};
    fixedCount_ = 1;
    return;
  }
  if (band.sinkTokens > 0) fixed_[fixedCount_++] = {0, band.sinkTokens, 1};
  fixed_[fixedCount_++] = {recentBegin, rowEnd_, 1};
}

size_t TilePlan::segmentCount() const {
  if (mask_.form != MaskForm::ranges) return fixedCount_;
  return static_cast<size_t>(mask_.rangeOffsets[block_ + 1] - mask_.rangeOffsets[block_]);
}

TilePlan::Segment TilePlan::segment(size_t index) const {
  if (mask_.form != MaskForm::ranges) return fixed_[index];
  const size_t r = static_cast<size_t>(mask_.rangeOffsets[block_]) + index;
  return {mask_.ranges[2 * r], std::min<int64_t>(mask_.ranges[2 * r + 1], rowEnd_), mask_.rangeFlags[r]};
}

bool TilePlan::openSegment() {
  if (segmentIndex_ == segmentCount()) return false;
  current_ = segment(segmentIndex_++);
  key_ = current_.begin / kTileKeys * kTileKeys;
  return true;
}

bool TilePlan::nextTile(TileRef& tile) {
  for (;;) {
    if (key_ >= current_.end) {
      if (!openSegment()) return nextGathered(tile) || nextColumns(tile);
      continue;
    }
    const int64_t firstKey = key_;
    key_ += kTileKeys;
    const int64_t begin = std::max(firstKey, current_.begin), end = std::min(key_, current_.end);
    uint32_t failing = 0;
    bool none = false;
    for (int t = 0; current_.bands >> t != 0; ++t) {
      if ((current_.bands >> t & 1) == 0) continue;
      const Coverage coverage = bandCoverage(mask_.bands[t], rowBegin_, rowEnd_, begin, end);
      if (coverage == Coverage::some) failing |= 1u << t;
      none = none || coverage == Coverage::none;
    }
    if (none) continue;
    if (current_.bands == 0 && end <= rowBegin_ && end - begin < kFewestKeys) {
      for (int64_t key = begin; key < end; ++key) gathered_.push_back(static_cast<int32_t>(key));
      continue;
    }
    const uint32_t lanes = lowLanes(end - firstKey) & ~lowLanes(begin - firstKey);
    tile = {firstKey, nullptr, 0, lanes, failing, lanes != kAllLanes || failing != 0 || end - 1 > rowBegin_};
    return true;
  }
}

bool TilePlan::nextGathered(TileRef& tile) {
  const size_t left = gathered_.size() - gatheredTaken_;
  if (left == 0) return false;
  const int count = static_cast<int>(std::min<size_t>(kTileKeys, left));
  tile = {0, gathered_.data() + gatheredTaken_, count, lowLanes(count), 0, count < kTileKeys};
  gatheredTaken_ += static_cast<size_t>(count);
  return true;
}

bool TilePlan::nextColumns(TileRef& tile) {
  if (column_ >= columnEnd_ || mask_.columns[column_] >= rowEnd_) return false;
  const int count = static_cast<int>(std::min<int64_t>(kTileKeys, columnEnd_ - column_));
  const int32_t* columns = mask_.columns + column_;
  column_ += count;
  tile = {0, columns, count, lowLanes(count), 0, count < kTileKeys || columns[count - 1] > rowBegin_};
  return true;
}

bool TilePlan::next(TileStep& step) {
  step.count = 0;
  while (step.count < kStepTiles && nextTile(step.tiles[step.count])) ++step.count;
  return step.count > 0;
}

bool isSameForRows(const TileRef& tile, int64_t rowBegin) {
  const int64_t last = tile.columns != nullptr ? tile.columns[tile.columnCount - 1] : tile.firstKey + kTileKeys - 1;
  return tile.bands == 0 && last <= rowBegin;
}

uint32_t keptLanes(const PrefillMask& mask, const TileRef& tile, int64_t row) {
  if (tile.columns != nullptr) {
    int kept = 0;
    while (kept < tile.columnCount && tile.columns[kept] <= row) ++kept;
    return lowLanes(kept);
  }
  uint32_t lanes = tile.lanes & lowLanes(row + 1 - tile.firstKey);
  for (int t = 0; tile.bands >> t != 0; ++t)
    if ((tile.bands >> t & 1) != 0) lanes &= bandLanes(mask.bands[t], tile.firstKey, row);
  return lanes;
}

int64_t estimateKeys(const PrefillMask& mask, int64_t block, int64_t rowEnd) {
  if (mask.form == MaskForm::dense) return rowEnd;
  if (mask.form == MaskForm::band) {
    const Band& band = mask.bands[0];
    return rowEnd > band.denseFromRow ? rowEnd : std::min(rowEnd, band.sinkTokens + band.recentTokens + kQueryBlock);
  }
  int64_t keys = mask.columnOffsets[block + 1] - mask.columnOffsets[block];
  for (int32_t r = mask.rangeOffsets[block]; r < mask.rangeOffsets[block + 1]; ++r) keys += mask.ranges[2 * r + 1] - mask.ranges[2 * r];
  return keys;
}

}  // namespace winnow
