#pragma once

#include "base/simd_generic.h"

/**
 * Beside base/simd.h, for selecting: bits of 16 lanes, and the lanes with a set bit moved to the front.
 *   absolute(v)  lanesAbove(a, b): a > b  lanesEqual(a, b)  lanesNaN(v)
 *   compress(bits, x, first, values, indices)   stores x and first + lane of the set bits; may write 16 elements of each
 */
namespace winnow::generic {

template <class Fn>
WINNOW_INLINE uint32_t bitsWhere(const Fn& holds) {
  uint32_t bits = 0;
  for (int i = 0; i < 16; ++i) bits |= static_cast<uint32_t>(holds(i)) << i;
  return bits;
}

WINNOW_INLINE F32x16 absolute(const F32x16& v) {
  return lanes([&](int i) { return __builtin_fabsf(v.lane[i]); });
}
WINNOW_INLINE uint32_t lanesAbove(const F32x16& a, const F32x16& b) {
  return bitsWhere([&](int i) { return a.lane[i] > b.lane[i]; });
}
WINNOW_INLINE uint32_t lanesEqual(const F32x16& a, const F32x16& b) {
  return bitsWhere([&](int i) { return a.lane[i] == b.lane[i]; });
}
WINNOW_INLINE uint32_t lanesNaN(const F32x16& v) {
  return bitsWhere([&](int i) { return v.lane[i] != v.lane[i]; });
}

WINNOW_INLINE void compress(uint32_t bits, const F32x16& x, int32_t first, float* values, int32_t* indices) {
  for (int i = 0, count = 0; i < 16; ++i) {
    values[count] = x.lane[i];
    indices[count] = first + i;
    count += static_cast<int>(bits >> i & 1);
  }
}

}  // namespace winnow::generic
