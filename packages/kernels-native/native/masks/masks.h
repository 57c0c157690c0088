#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace winnow {

/** An Int32Array or Uint8Array of the caller. */
template <class T>
struct Span {
  const T* data;
  size_t size;
};

/** Lists `indices[offsets[i] .. offsets[i + 1])` for i in [0, lists). */
struct IndexLists {
  Span<int32_t> indices;
  Span<int32_t> offsets;
};

/** The arrays of a `RangesMask` as they come from the caller. */
struct RangeArrays {
  Span<int32_t> rangeOffsets;
  Span<int32_t> ranges;
  Span<uint8_t> rangeFlags;
  Span<int32_t> columnOffsets;
  Span<int32_t> columns;
  size_t bands;
};

/** What is wrong, as a phrase like `indices[3] must be ...`; nothing if all is well. */
using Problem = std::optional<std::string>;

/** Indices in any order, each in [0, limit). */
Problem problemOfIndices(const char* name, Span<int32_t> indices, int64_t limit);

/** `count` lists, list i strictly ascending in [0, limitOf(i)); `offsets` begin at 0. O(indices). */
Problem problemOfLists(const IndexLists& lists, size_t count, const std::function<int64_t(size_t)>& limitOf, bool emptyAllowed);

/**
 * A ranges mask of `n` tokens in blocks of `blockSize`: ranges ascending and disjoint, columns ascending and outside of them, nothing
 * that no row of its block may see, flags only for bands that exist. O(size of the mask).
 */
Problem problemOfRanges(const RangeArrays& mask, int64_t n, int64_t blockSize);

}  // namespace winnow
