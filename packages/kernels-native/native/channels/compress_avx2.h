#pragma once

#include "base/simd_avx2.h"

/** See compress_generic.h. */
namespace winnow::avx2 {

/** For each 8 bits, the places of the set ones, a byte each; the rest is 0. */
struct CompressTable {
  uint64_t places[256];
};

constexpr CompressTable makeCompressTable() {
  CompressTable table{};
  for (unsigned bits = 0; bits < 256; ++bits)
    for (unsigned lane = 0, count = 0; lane < 8; ++lane)
      if ((bits >> lane & 1) != 0) table.places[bits] |= uint64_t{lane} << (8 * count++);
  return table;
}

static constexpr CompressTable kCompress = makeCompressTable();

template <int Predicate>
WINNOW_INLINE uint32_t compareLanes(F32x16 a, F32x16 b) {
  const int lo = _mm256_movemask_ps(_mm256_cmp_ps(a.lo, b.lo, Predicate)), hi = _mm256_movemask_ps(_mm256_cmp_ps(a.hi, b.hi, Predicate));
  return static_cast<uint32_t>(lo | hi << 8);
}

WINNOW_INLINE F32x16 absolute(F32x16 v) {
  const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  return {_mm256_and_ps(v.lo, magnitude), _mm256_and_ps(v.hi, magnitude)};
}
WINNOW_INLINE uint32_t lanesAbove(F32x16 a, F32x16 b) { return compareLanes<_CMP_GT_OQ>(a, b); }
WINNOW_INLINE uint32_t lanesEqual(F32x16 a, F32x16 b) { return compareLanes<_CMP_EQ_OQ>(a, b); }
WINNOW_INLINE uint32_t lanesNaN(F32x16 v) { return compareLanes<_CMP_UNORD_Q>(v, v); }

WINNOW_INLINE void compress8(uint32_t bits, __m256 x, int32_t first, float* values, int32_t* indices) {
  const __m256i places = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(kCompress.places[bits])));
  _mm256_storeu_ps(values, _mm256_permutevar8x32_ps(x, places));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(indices), _mm256_add_epi32(places, _mm256_set1_epi32(first)));
}
WINNOW_INLINE void compress(uint32_t bits, F32x16 x, int32_t first, float* values, int32_t* indices) {
  const int low = __builtin_popcount(bits & 0xff);
  compress8(bits & 0xff, x.lo, first, values, indices);
  compress8(bits >> 8, x.hi, first + 8, values + low, indices + low);
}

}  // namespace winnow::avx2
