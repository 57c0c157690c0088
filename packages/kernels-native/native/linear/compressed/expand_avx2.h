#pragma once

#include "base/simd_avx2.h"
#include "linear/compressed/expand.h"

namespace winnow::avx2 {

struct Raw {
  __m256i lo, hi;
};

WINNOW_INLINE __m256i loadInts(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
WINNOW_INLINE Raw loadRaw(const void* p) { return {loadInts(p), loadInts(static_cast<const char*>(p) + 32)}; }
WINNOW_INLINE void storeRaw(void* p, Raw raw) {
  _mm256_storeu_si256(static_cast<__m256i*>(p), raw.lo);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(static_cast<char*>(p) + 32), raw.hi);
}

/** Byte shuffles that spread the next stored elements over the places of eight bits; 0x80 gives zero. */
struct ExpandTables {
  alignas(16) uint8_t halves[256][16];
  alignas(16) uint8_t bytes[256][8];
};
constexpr ExpandTables makeExpandTables() {
  ExpandTables tables{};
  for (int bits = 0; bits < 256; ++bits) {
    int next = 0;
    for (int i = 0; i < 8; ++i) {
      const bool stored = (bits >> i & 1) != 0;
      tables.bytes[bits][i] = static_cast<uint8_t>(stored ? next : 0x80);
      tables.halves[bits][2 * i] = static_cast<uint8_t>(stored ? 2 * next : 0x80);
      tables.halves[bits][2 * i + 1] = static_cast<uint8_t>(stored ? 2 * next + 1 : 0x80);
      next += stored;
    }
  }
  return tables;
}
static constexpr ExpandTables kExpand = makeExpandTables();

/** Eight bf16. */
WINNOW_INLINE __m128i expand8(const uint16_t* values, uint32_t bits) {
  const __m128i shuffle = _mm_load_si128(reinterpret_cast<const __m128i*>(kExpand.halves[bits]));
  return _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)), shuffle);
}
/** Eight int8, in the lower half. */
WINNOW_INLINE __m128i expand8(const int8_t* values, uint32_t bits) {
  const __m128i shuffle = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kExpand.bytes[bits]));
  return _mm_shuffle_epi8(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(values)), shuffle);
}

WINNOW_INLINE Raw expandHalves(const uint16_t* values, uint32_t word) {
  __m128i part[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const uint32_t bits = word >> (8 * i) & 0xff;
    part[i] = expand8(values, bits);
    values += _mm_popcnt_u32(bits);
  }
  return {_mm256_set_m128i(part[1], part[0]), _mm256_set_m128i(part[3], part[2])};
}
WINNOW_INLINE Raw expandBytes(const int8_t* values, uint64_t word) {
  __m128i part[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const uint32_t even = word >> (16 * i) & 0xff, odd = word >> (16 * i + 8) & 0xff;
    const int8_t* second = values + _mm_popcnt_u32(even);
    part[i] = _mm_unpacklo_epi64(expand8(values, even), expand8(second, odd));
    values = second + _mm_popcnt_u32(odd);
  }
  return {_mm256_set_m128i(part[1], part[0]), _mm256_set_m128i(part[3], part[2])};
}
WINNOW_INLINE __m256 expandFloats8(const float* values, uint32_t bits) {
  const __m256i places = _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(kExpand.bytes[bits])));
  const __m256 spread = _mm256_permutevar8x32_ps(_mm256_loadu_ps(values), places);
  // A place without an element is negative.
  return _mm256_andnot_ps(_mm256_castsi256_ps(_mm256_srai_epi32(places, 31)), spread);
}
WINNOW_INLINE F32x16 expandFloats(const float* values, uint32_t bits) {
  return {expandFloats8(values, bits & 0xff), expandFloats8(values + _mm_popcnt_u32(bits & 0xff), bits >> 8 & 0xff)};
}
WINNOW_INLINE Bf16x32 pairsOf(Raw raw) { return {{evens8(raw.lo), evens8(raw.hi)}, {odds8(raw.lo), odds8(raw.hi)}}; }

struct I32x16 {
  __m256i lo, hi;
};
using Quad = __m256i;

constexpr int kActivationOffset = 0;

WINNOW_INLINE I32x16 zeroInts() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
WINNOW_INLINE F32x16 toFloats(I32x16 v) { return {_mm256_cvtepi32_ps(v.lo), _mm256_cvtepi32_ps(v.hi)}; }
WINNOW_INLINE I32x16 subScaled(I32x16 v, int k, const int32_t* p) {
  const __m256i factor = _mm256_set1_epi32(k);
  return {_mm256_sub_epi32(v.lo, _mm256_mullo_epi32(factor, loadInts(p))),
          _mm256_sub_epi32(v.hi, _mm256_mullo_epi32(factor, loadInts(p + 8)))};
}
WINNOW_INLINE Quad broadcastQuad(const void* p) {
  int quad;
  memcpy(&quad, p, sizeof quad);
  return _mm256_set1_epi32(quad);
}
// The sign moves from the weight to the activation, which is never -128: then no pair exceeds 2 * 128 * 127 and nothing saturates.
WINNOW_INLINE __m256i dotQuads8(__m256i acc, Quad quad, __m256i w) {
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(quad, w));
  return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
WINNOW_INLINE I32x16 dotQuads(I32x16 acc, Quad quad, Raw raw) { return {dotQuads8(acc.lo, quad, raw.lo), dotQuads8(acc.hi, quad, raw.hi)}; }

template <int Bits>
struct Places {
  __m256i lo, hi;
};
template <int Bits>
WINNOW_INLINE Places<Bits> placesOf(const uint32_t* words) {
  const __m256i shift = _mm256_mullo_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(Bits));
  const uint32_t second = Bits == 2 ? words[0] >> 16 : words[1];
  return {_mm256_srlv_epi32(_mm256_set1_epi32(static_cast<int>(words[0])), shift),
          _mm256_srlv_epi32(_mm256_set1_epi32(static_cast<int>(second)), shift)};
}
// The permutations look at the lowest bits only.
template <int Bits>
WINNOW_INLINE __m256 pick8(const float* x, __m256i places) {
  if constexpr (Bits == 2) return _mm256_permutevar_ps(_mm256_broadcast_ps(reinterpret_cast<const __m128*>(x)), places);
  const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(x), places), high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(x + 8), places);
  return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(places, 28)));
}
template <int Bits>
WINNOW_INLINE F32x16 pick(const float* x, Places<Bits> places) {
  return {pick8<Bits>(x, places.lo), pick8<Bits>(x, places.hi)};
}

}  // namespace winnow::avx2
