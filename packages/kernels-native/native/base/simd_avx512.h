#pragma once

// GCC before 13 warns about its own header: _mm512_undefined_ps() is undefined on purpose.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "base/simd.h"

#define WINNOW_ISA avx512

namespace winnow::avx512 {

using F32x16 = __m512;
using Bf16x32 = __m512i;

constexpr int kTileRows = 6;
/** 1 or 4 (see forVecs in base/gemm.inc). */
constexpr int kTileVecs = 4;
/** Keys of a decoder whose scores are summed side by side. */
constexpr int kScoreKeys = 16;

WINNOW_INLINE __mmask16 firstLanes(int count) { return static_cast<__mmask16>((1u << count) - 1); }
WINNOW_INLINE __mmask32 firstHalves(int count) { return static_cast<__mmask32>((uint64_t{1} << count) - 1); }

WINNOW_INLINE F32x16 zero() { return _mm512_setzero_ps(); }
WINNOW_INLINE F32x16 broadcast(float x) { return _mm512_set1_ps(x); }
WINNOW_INLINE F32x16 load(const float* p) { return _mm512_loadu_ps(p); }
WINNOW_INLINE F32x16 loadFirst(const float* p, int count) { return _mm512_maskz_loadu_ps(firstLanes(count), p); }
WINNOW_INLINE void store(float* p, F32x16 v) { _mm512_storeu_ps(p, v); }
WINNOW_INLINE void storeFirst(float* p, F32x16 v, int count) { _mm512_mask_storeu_ps(p, firstLanes(count), v); }

WINNOW_INLINE F32x16 add(F32x16 a, F32x16 b) { return _mm512_add_ps(a, b); }
WINNOW_INLINE F32x16 sub(F32x16 a, F32x16 b) { return _mm512_sub_ps(a, b); }
WINNOW_INLINE F32x16 mul(F32x16 a, F32x16 b) { return _mm512_mul_ps(a, b); }
WINNOW_INLINE F32x16 div(F32x16 a, F32x16 b) { return _mm512_div_ps(a, b); }
WINNOW_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { return _mm512_fmadd_ps(a, b, c); }
WINNOW_INLINE F32x16 max(F32x16 a, F32x16 b) { return _mm512_max_ps(a, b); }
WINNOW_INLINE F32x16 min(F32x16 a, F32x16 b) { return _mm512_min_ps(a, b); }

WINNOW_INLINE F32x16 selectLanes(uint32_t bits, F32x16 a, F32x16 b) {
  return _mm512_mask_blend_ps(static_cast<__mmask16>(bits), b, a);
}

WINNOW_INLINE F32x16 zeroBelow(F32x16 x, float limit, F32x16 v) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_set1_ps(limit), _CMP_NLT_UQ), v);
}

WINNOW_INLINE F32x16 scaleByExponent(F32x16 v, F32x16 biased) {
  return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(v), _mm512_slli_epi32(_mm512_castps_si512(biased), 23)));
}

WINNOW_INLINE float sumLanes(F32x16 v) {
  const __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

WINNOW_INLINE float maxLanes(F32x16 v) {
  const __m256 a = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  const __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_max_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

// Each step adds the two halves of two vectors and keeps both sums; inputs are picked so that the lanes come out in order.
WINNOW_INLINE F32x16 foldHalves(F32x16 a, F32x16 b) {
  return add(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
}
WINNOW_INLINE F32x16 foldQuarters(F32x16 a, F32x16 b) {
  return add(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}
WINNOW_INLINE F32x16 foldPairs(F32x16 a, F32x16 b) {
  const __m512d x = _mm512_castps_pd(a), y = _mm512_castps_pd(b);
  return add(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)), _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
}
WINNOW_INLINE F32x16 foldSingles(F32x16 a, F32x16 b) {
  return add(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xdd));
}
WINNOW_INLINE F32x16 foldColumn(const F32x16 (&v)[16], int i) {
  return foldQuarters(foldHalves(v[i], v[i + 4]), foldHalves(v[i + 8], v[i + 12]));
}
WINNOW_INLINE F32x16 sumLanes16(const F32x16 (&v)[16]) {
  return foldSingles(foldPairs(foldColumn(v, 0), foldColumn(v, 1)), foldPairs(foldColumn(v, 2), foldColumn(v, 3)));
}

WINNOW_INLINE F32x16 loadUnits(const void* p, size_t bytes) {
  return _mm512_castsi512_ps(_mm512_maskz_loadu_epi16(firstHalves(static_cast<int>(bytes / 2)), p));
}
WINNOW_INLINE void storeUnits(void* p, F32x16 v) { _mm512_storeu_si512(p, _mm512_castps_si512(v)); }

WINNOW_INLINE void transpose16(F32x16 (&v)[16]) {
  F32x16 t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_ps(v[2 * i], v[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_ps(v[2 * i], v[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512d a = _mm512_castps_pd(t[4 * i]), b = _mm512_castps_pd(t[4 * i + 1]);
    const __m512d c = _mm512_castps_pd(t[4 * i + 2]), d = _mm512_castps_pd(t[4 * i + 3]);
    v[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
    v[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
    v[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
    v[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_f32x4(v[i], v[4 + i], 0x88);
    t[4 + i] = _mm512_shuffle_f32x4(v[i], v[4 + i], 0xdd);
    t[8 + i] = _mm512_shuffle_f32x4(v[8 + i], v[12 + i], 0x88);
    t[12 + i] = _mm512_shuffle_f32x4(v[8 + i], v[12 + i], 0xdd);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm512_shuffle_f32x4(t[i], t[8 + i], 0x88);
    v[8 + i] = _mm512_shuffle_f32x4(t[i], t[8 + i], 0xdd);
    v[4 + i] = _mm512_shuffle_f32x4(t[4 + i], t[12 + i], 0x88);
    v[12 + i] = _mm512_shuffle_f32x4(t[4 + i], t[12 + i], 0xdd);
  }
}

WINNOW_INLINE F32x16 widen(__m256i half) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16)); }
WINNOW_INLINE __m256i narrow(F32x16 v) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(v)); }

WINNOW_INLINE F32x16 widenBf16(const uint16_t* p) { return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
WINNOW_INLINE F32x16 widenBf16First(const uint16_t* p, int count) { return widen(_mm256_maskz_loadu_epi16(firstLanes(count), p)); }
WINNOW_INLINE void storeBf16(uint16_t* p, F32x16 v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow(v)); }
WINNOW_INLINE F32x16 quantizeBf16(F32x16 v) { return widen(narrow(v)); }

WINNOW_INLINE Bf16x32 loadPairs(const uint16_t* p) { return _mm512_loadu_si512(p); }
WINNOW_INLINE Bf16x32 loadPairsFirst(const uint16_t* p, int count) { return _mm512_maskz_loadu_epi16(firstHalves(count), p); }
WINNOW_INLINE Bf16x32 broadcastPair(const uint16_t* p) {
  int pair;
  memcpy(&pair, p, sizeof pair);
  return _mm512_set1_epi32(pair);
}
WINNOW_INLINE F32x16 dotPairs(F32x16 acc, Bf16x32 a, Bf16x32 b) {
  return _mm512_dpbf16_ps(acc, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}

WINNOW_INLINE Bf16x32 pairRows(const uint16_t* a, const uint16_t* b) {
  // Lane 2i takes a[i], lane 2i + 1 takes b[i], which is number 32 + i of both together.
  const __m512i first = _mm512_setr_epi32(0x200000, 0x210001, 0x220002, 0x230003, 0x240004, 0x250005, 0x260006, 0x270007, 0x280008, 0x290009,
                                          0x2a000a, 0x2b000b, 0x2c000c, 0x2d000d, 0x2e000e, 0x2f000f);
  const __m512i even = _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(a)));
  const __m512i odd = _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(b)));
  return _mm512_permutex2var_epi16(even, first, odd);
}
WINNOW_INLINE void interleave(const uint16_t* a, const uint16_t* b, uint16_t* p) { _mm512_storeu_si512(p, pairRows(a, b)); }

}  // namespace winnow::avx512
