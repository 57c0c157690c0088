#pragma once

#include "base/simd_avx512.h"
#include "linear/compressed/expand.h"

namespace winnow::avx512 {

using Raw = __m512i;
using I32x16 = __m512i;
using Quad = __m512i;

WINNOW_INLINE Raw loadRaw(const void* p) { return _mm512_loadu_si512(p); }
WINNOW_INLINE void storeRaw(void* p, Raw raw) { _mm512_storeu_si512(p, raw); }

/** Loads into a register that the compiler cannot fold away: expansion straight from memory is microcoded on many processors. */
WINNOW_INLINE __m512i loadApart(const void* p) {
  __m512i v = _mm512_loadu_si512(p);
  asm("" : "+v"(v));
  return v;
}
/** Expansion into a fresh zero: processors let even the form that zeroes wait for the old contents of its target (a third of the time). */
WINNOW_INLINE __m512i freshZero() {
  __m512i v = _mm512_setzero_si512();
  asm("" : "+v"(v));
  return v;
}
WINNOW_INLINE Raw expandHalves(const uint16_t* values, uint32_t word) { return _mm512_mask_expand_epi16(freshZero(), word, loadApart(values)); }
WINNOW_INLINE F32x16 expandFloats(const float* values, uint32_t bits) {
  return _mm512_castsi512_ps(_mm512_mask_expand_epi32(freshZero(), static_cast<__mmask16>(bits), loadApart(values)));
}
WINNOW_INLINE Raw expandBytes(const int8_t* values, uint64_t word) { return _mm512_mask_expand_epi8(freshZero(), word, loadApart(values)); }
WINNOW_INLINE Bf16x32 pairsOf(Raw raw) { return raw; }

/** vpdpbusd takes unsigned activations. */
constexpr int kActivationOffset = 128;

WINNOW_INLINE I32x16 zeroInts() { return _mm512_setzero_si512(); }
WINNOW_INLINE F32x16 toFloats(I32x16 v) { return _mm512_cvtepi32_ps(v); }
WINNOW_INLINE I32x16 subScaled(I32x16 v, int k, const int32_t* p) {
  return _mm512_sub_epi32(v, _mm512_mullo_epi32(_mm512_set1_epi32(k), _mm512_loadu_si512(p)));
}
WINNOW_INLINE Quad broadcastQuad(const void* p) {
  int quad;
  memcpy(&quad, p, sizeof quad);
  return _mm512_set1_epi32(quad);
}
WINNOW_INLINE I32x16 dotQuads(I32x16 acc, Quad quad, Raw raw) { return _mm512_dpbusd_epi32(acc, quad, raw); }

template <int Bits>
using Places = __m512i;

template <int Bits>
WINNOW_INLINE __m512i placesOf(const uint32_t* words) {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  if constexpr (Bits == 2) return _mm512_srlv_epi32(_mm512_set1_epi32(static_cast<int>(*words)), _mm512_slli_epi32(lane, 1));
  long long both;
  memcpy(&both, words, sizeof both);
  const __m512i halves = _mm512_permutexvar_epi32(_mm512_srli_epi32(lane, 3), _mm512_set1_epi64(both));
  return _mm512_srlv_epi32(halves, _mm512_slli_epi32(_mm512_and_si512(lane, _mm512_set1_epi32(7)), 2));
}
// The permutations look at the lowest bits only.
template <int Bits>
WINNOW_INLINE F32x16 pick(const float* x, __m512i places) {
  if constexpr (Bits == 2) return _mm512_permutevar_ps(_mm512_broadcast_f32x4(_mm_loadu_ps(x)), places);
  return _mm512_permutexvar_ps(places, _mm512_loadu_ps(x));
}

}  // namespace winnow::avx512
