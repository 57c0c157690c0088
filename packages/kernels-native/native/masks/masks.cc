#include "masks/masks.h"

#include <algorithm>

namespace winnow {
namespace {

std::string place(const char* array, int64_t i) { return std::string(array) + "[" + std::to_string(i) + "]"; }

std::string got(int64_t value) { return ", got " + std::to_string(value); }

/** Offsets of `count` lists over an array of `size` elements. */
Problem problemOfOffsets(const char* name, Span<int32_t> offsets, size_t count, size_t size) {
  if (offsets.size < count + 1) {
    return std::string(name) + " must hold " + std::to_string(count + 1) + " elements" + got(static_cast<int64_t>(offsets.size));
  }
  if (offsets.data[0] != 0) return place(name, 0) + " must be 0" + got(offsets.data[0]);
  int64_t low = 0;
  for (size_t i = 0; i <= count; ++i) {
    const int64_t offset = offsets.data[i];
    if (offset < low || offset > static_cast<int64_t>(size)) {
      return place(name, static_cast<int64_t>(i)) + " must be in " + std::to_string(low) + ".." + std::to_string(size) + got(offset);
    }
    low = offset;
  }
  return std::nullopt;
}

Problem problemOfList(const char* name, const int32_t* indices, int64_t start, int64_t end, int64_t limit) {
  int64_t low = 0;
  for (int64_t i = start; i < end; ++i) {
    if (indices[i] < low || indices[i] >= limit) {
      return place(name, i) + " must be ascending and in " + std::to_string(low) + ".." + std::to_string(limit - 1) + got(indices[i]);
    }
    low = int64_t{indices[i]} + 1;
  }
  return std::nullopt;
}

Problem problemOfBlockRanges(const RangeArrays& mask, int64_t start, int64_t end, int64_t n, int64_t rowEnd) {
  int64_t low = 0;
  for (int64_t r = start; r < end; ++r) {
    const int64_t first = mask.ranges.data[2 * r];
    const int64_t last = mask.ranges.data[2 * r + 1];
    if (first < low || last <= first || last > n) {
      return place("ranges", 2 * r) + " must start an ascending, disjoint range inside " + std::to_string(low) + ".." + std::to_string(n) +
             ", got " + std::to_string(first) + ".." + std::to_string(last);
    }
    if (first >= rowEnd) return place("ranges", 2 * r) + " must be a key that the rows before " + std::to_string(rowEnd) + " may see" + got(first);
    const int64_t flags = mask.rangeFlags.data[r];
    if (flags >> mask.bands != 0) return place("rangeFlags", r) + " must name bands below " + std::to_string(mask.bands) + got(flags);
    low = last;
  }
  return std::nullopt;
}

/** Both lists are ascending here, so one merge finds a column inside a range. */
Problem problemOfOverlap(const RangeArrays& mask, size_t block) {
  int64_t r = mask.rangeOffsets.data[block];
  const int64_t lastRange = mask.rangeOffsets.data[block + 1];
  for (int64_t c = mask.columnOffsets.data[block]; c < mask.columnOffsets.data[block + 1]; ++c) {
    const int32_t column = mask.columns.data[c];
    while (r < lastRange && mask.ranges.data[2 * r + 1] <= column) ++r;
    if (r < lastRange && mask.ranges.data[2 * r] <= column) {
      return place("columns", c) + " must lie outside the ranges of its block" + got(column);
    }
  }
  return std::nullopt;
}

}  // namespace

Problem problemOfIndices(const char* name, Span<int32_t> indices, int64_t limit) {
  for (size_t i = 0; i < indices.size; ++i) {
    if (indices.data[i] >= 0 && indices.data[i] < limit) continue;
    return place(name, static_cast<int64_t>(i)) + " must be in 0.." + std::to_string(limit - 1) + got(indices.data[i]);
  }
  return std::nullopt;
}

Problem problemOfLists(const IndexLists& lists, size_t count, const std::function<int64_t(size_t)>& limitOf, bool emptyAllowed) {
  if (Problem problem = problemOfOffsets("offsets", lists.offsets, count, lists.indices.size)) return problem;
  for (size_t i = 0; i < count; ++i) {
    const int64_t start = lists.offsets.data[i];
    const int64_t end = lists.offsets.data[i + 1];
    if (start == end && !emptyAllowed) return place("offsets", static_cast<int64_t>(i)) + " must start a list that is not empty" + got(start);
    if (Problem problem = problemOfList("indices", lists.indices.data, start, end, limitOf(i))) return problem;
  }
  return std::nullopt;
}

Problem problemOfRanges(const RangeArrays& mask, int64_t n, int64_t blockSize) {
  const size_t blocks = static_cast<size_t>((n + blockSize - 1) / blockSize);
  const size_t ranges = std::min(mask.ranges.size / 2, mask.rangeFlags.size);
  if (Problem problem = problemOfOffsets("rangeOffsets", mask.rangeOffsets, blocks, ranges)) return problem;
  if (Problem problem = problemOfOffsets("columnOffsets", mask.columnOffsets, blocks, mask.columns.size)) return problem;
  for (size_t block = 0; block < blocks; ++block) {
    const int64_t rowEnd = std::min(n, (static_cast<int64_t>(block) + 1) * blockSize);
    const int32_t* firstRange = mask.rangeOffsets.data + block;
    const int32_t* firstColumn = mask.columnOffsets.data + block;
    if (Problem problem = problemOfBlockRanges(mask, firstRange[0], firstRange[1], n, rowEnd)) return problem;
    if (Problem problem = problemOfList("columns", mask.columns.data, firstColumn[0], firstColumn[1], rowEnd)) return problem;
    if (Problem problem = problemOfOverlap(mask, block)) return problem;
  }
  return std::nullopt;
}

}  // namespace winnow
