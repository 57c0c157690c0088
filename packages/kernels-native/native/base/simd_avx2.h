#pragma once

#include <immintrin.h>

#include "base/simd.h"

#define WINNOW_ISA avx2

namespace winnow::avx2 {

struct F32x16 {
  __m256 lo, hi;
};

/** 16 pairs, taken apart so that one load serves several rows. */
struct Bf16x32 {
  F32x16 even, odd;
};

constexpr int kTileRows = 4;
constexpr int kTileVecs = 1;
/** Keys of a decoder whose scores are summed side by side. */
constexpr int kScoreKeys = 4;

WINNOW_INLINE F32x16 zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
WINNOW_INLINE F32x16 broadcast(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
WINNOW_INLINE F32x16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
WINNOW_INLINE void store(float* p, F32x16 v) {
  _mm256_storeu_ps(p, v.lo);
  _mm256_storeu_ps(p + 8, v.hi);
}
WINNOW_INLINE F32x16 loadFirst(const float* p, int count) {
  if (count == 16) return load(p);
  float lanes[16] = {};
  memcpy(lanes, p, static_cast<size_t>(count) * sizeof(float));
  return load(lanes);
}
WINNOW_INLINE void storeFirst(float* p, F32x16 v, int count) {
  if (count == 16) return store(p, v);
  float lanes[16];
  store(lanes, v);
  memcpy(p, lanes, static_cast<size_t>(count) * sizeof(float));
}

WINNOW_INLINE F32x16 add(F32x16 a, F32x16 b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
WINNOW_INLINE F32x16 sub(F32x16 a, F32x16 b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
WINNOW_INLINE F32x16 mul(F32x16 a, F32x16 b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
WINNOW_INLINE F32x16 div(F32x16 a, F32x16 b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
WINNOW_INLINE F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
WINNOW_INLINE F32x16 max(F32x16 a, F32x16 b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
WINNOW_INLINE F32x16 min(F32x16 a, F32x16 b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }

WINNOW_INLINE __m256 maskOf8(uint32_t bits) {
  const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i set = _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(bits & 0xff)), lane);
  return _mm256_castsi256_ps(_mm256_cmpeq_epi32(set, lane));
}

WINNOW_INLINE F32x16 selectLanes(uint32_t bits, F32x16 a, F32x16 b) {
  return {_mm256_blendv_ps(b.lo, a.lo, maskOf8(bits)), _mm256_blendv_ps(b.hi, a.hi, maskOf8(bits >> 8))};
}

WINNOW_INLINE F32x16 zeroBelow(F32x16 x, float limit, F32x16 v) {
  const __m256 l = _mm256_set1_ps(limit);
  return {_mm256_and_ps(_mm256_cmp_ps(x.lo, l, _CMP_NLT_UQ), v.lo), _mm256_and_ps(_mm256_cmp_ps(x.hi, l, _CMP_NLT_UQ), v.hi)};
}

WINNOW_INLINE __m256 scaleByExponent8(__m256 v, __m256 biased) {
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(v), _mm256_slli_epi32(_mm256_castps_si256(biased), 23)));
}
WINNOW_INLINE F32x16 scaleByExponent(F32x16 v, F32x16 biased) {
  return {scaleByExponent8(v.lo, biased.lo), scaleByExponent8(v.hi, biased.hi)};
}

WINNOW_INLINE float sumLanes(F32x16 v) {
  const __m256 a = _mm256_add_ps(v.lo, v.hi);
  const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

WINNOW_INLINE float maxLanes(F32x16 v) {
  const __m256 a = _mm256_max_ps(v.lo, v.hi);
  const __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_max_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

WINNOW_INLINE __m256 foldQuarters(F32x16 a, F32x16 b) {
  const __m256 x = _mm256_add_ps(a.lo, a.hi), y = _mm256_add_ps(b.lo, b.hi);
  return _mm256_add_ps(_mm256_permute2f128_ps(x, y, 0x20), _mm256_permute2f128_ps(x, y, 0x31));
}
WINNOW_INLINE __m256 foldPairs(__m256 a, __m256 b) {
  const __m256d x = _mm256_castps_pd(a), y = _mm256_castps_pd(b);
  return _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(x, y)), _mm256_castpd_ps(_mm256_unpackhi_pd(x, y)));
}
WINNOW_INLINE __m256 sumLanes8(const F32x16* v) {
  const __m256 a = foldPairs(foldQuarters(v[0], v[4]), foldQuarters(v[1], v[5]));
  const __m256 b = foldPairs(foldQuarters(v[2], v[6]), foldQuarters(v[3], v[7]));
  return _mm256_add_ps(_mm256_shuffle_ps(a, b, 0x88), _mm256_shuffle_ps(a, b, 0xdd));
}
WINNOW_INLINE F32x16 sumLanes16(const F32x16 (&v)[16]) { return {sumLanes8(v), sumLanes8(v + 8)}; }

WINNOW_INLINE F32x16 loadUnits(const void* p, size_t bytes) {
  float units[16] = {};
  memcpy(units, p, bytes);
  return load(units);
}
WINNOW_INLINE void storeUnits(void* p, F32x16 v) { memcpy(p, &v, sizeof v); }

WINNOW_INLINE void transpose8(__m256 (&v)[8]) {
  __m256 t[8];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[2 * i] = _mm256_unpacklo_ps(v[2 * i], v[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_ps(v[2 * i], v[2 * i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    v[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
    v[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
    v[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
    v[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm256_permute2f128_ps(v[i], v[4 + i], 0x20);
    t[4 + i] = _mm256_permute2f128_ps(v[i], v[4 + i], 0x31);
  }
  memcpy(v, t, sizeof t);
}

WINNOW_INLINE void transpose16(F32x16 (&v)[16]) {
  __m256 a[8], b[8], c[8], d[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    a[i] = v[i].lo;
    b[i] = v[i].hi;
    c[i] = v[8 + i].lo;
    d[i] = v[8 + i].hi;
  }
  transpose8(a);
  transpose8(b);
  transpose8(c);
  transpose8(d);
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    v[i] = {a[i], c[i]};
    v[8 + i] = {b[i], d[i]};
  }
}

WINNOW_INLINE __m256 widen8(__m128i half) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16)); }

/** Rounded bits in the upper half of each lane, lower half zero. */
WINNOW_INLINE __m256i rounded8(__m256 v) {
  const __m256i bits = _mm256_castps_si256(v);
  const __m256i sign = _mm256_and_si256(bits, _mm256_set1_epi32(static_cast<int>(0x80000000u)));
  const __m256i magnitude = _mm256_and_si256(bits, _mm256_set1_epi32(0x7fffffff));
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256i isNan = _mm256_cmpgt_epi32(magnitude, _mm256_set1_epi32(0x7f800000));
  const __m256i isTiny = _mm256_cmpgt_epi32(_mm256_set1_epi32(0x00800000), magnitude);
  const __m256i value = _mm256_blendv_epi8(_mm256_blendv_epi8(up, quiet, isNan), sign, isTiny);
  return _mm256_and_si256(value, _mm256_set1_epi32(static_cast<int>(0xffff0000u)));
}

WINNOW_INLINE F32x16 widenBf16(const uint16_t* p) {
  return {widen8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))), widen8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
}
WINNOW_INLINE F32x16 widenBf16First(const uint16_t* p, int count) {
  if (count == 16) return widenBf16(p);
  uint16_t lanes[16] = {};
  memcpy(lanes, p, static_cast<size_t>(count) * sizeof(uint16_t));
  return widenBf16(lanes);
}
WINNOW_INLINE F32x16 quantizeBf16(F32x16 v) { return {_mm256_castsi256_ps(rounded8(v.lo)), _mm256_castsi256_ps(rounded8(v.hi))}; }
WINNOW_INLINE void storeBf16(uint16_t* p, F32x16 v) {
  const __m256i packed = _mm256_packus_epi32(_mm256_srli_epi32(rounded8(v.lo), 16), _mm256_srli_epi32(rounded8(v.hi), 16));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(packed, 0xd8));
}

WINNOW_INLINE __m256 evens8(__m256i pairs) { return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)); }
WINNOW_INLINE __m256 odds8(__m256i pairs) {
  return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(static_cast<int>(0xffff0000u))));
}

WINNOW_INLINE Bf16x32 loadPairs(const uint16_t* p) {
  const __m256i lo = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  const __m256i hi = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 16));
  return {{evens8(lo), evens8(hi)}, {odds8(lo), odds8(hi)}};
}
WINNOW_INLINE Bf16x32 loadPairsFirst(const uint16_t* p, int count) {
  if (count == 32) return loadPairs(p);
  uint16_t lanes[32] = {};
  memcpy(lanes, p, static_cast<size_t>(count) * sizeof(uint16_t));
  return loadPairs(lanes);
}
WINNOW_INLINE Bf16x32 broadcastPair(const uint16_t* p) {
  int pair;
  memcpy(&pair, p, sizeof pair);
  const __m256i pairs = _mm256_set1_epi32(pair);
  return {{evens8(pairs), evens8(pairs)}, {odds8(pairs), odds8(pairs)}};
}
WINNOW_INLINE F32x16 dotPairs(F32x16 acc, Bf16x32 a, Bf16x32 b) { return fma(a.even, b.even, fma(a.odd, b.odd, acc)); }

WINNOW_INLINE Bf16x32 pairRows(const uint16_t* a, const uint16_t* b) { return {widenBf16(a), widenBf16(b)}; }
WINNOW_INLINE void interleave8(const uint16_t* a, const uint16_t* b, uint16_t* p) {
  const __m256i even = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a)));
  const __m256i odd = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(b)));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_or_si256(even, _mm256_slli_epi32(odd, 16)));
}
WINNOW_INLINE void interleave(const uint16_t* a, const uint16_t* b, uint16_t* p) {
  interleave8(a, b, p);
  interleave8(a + 8, b + 8, p + 16);
}

}  // namespace winnow::avx2
