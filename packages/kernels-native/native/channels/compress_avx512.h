#pragma once

#include "base/simd_avx512.h"

/** See compress_generic.h. */
namespace winnow::avx512 {

WINNOW_INLINE F32x16 absolute(F32x16 v) { return _mm512_abs_ps(v); }
WINNOW_INLINE uint32_t lanesAbove(F32x16 a, F32x16 b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
WINNOW_INLINE uint32_t lanesEqual(F32x16 a, F32x16 b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
WINNOW_INLINE uint32_t lanesNaN(F32x16 v) { return _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q); }

/** Compressed in a register, then stored whole: compressing into memory is microcode on some processors, a hundred times slower. */
WINNOW_INLINE void compress(uint32_t bits, F32x16 x, int32_t first, float* values, int32_t* indices) {
  const __mmask16 mask = static_cast<__mmask16>(bits);
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  _mm512_storeu_ps(values, _mm512_maskz_compress_ps(mask, x));
  _mm512_storeu_si512(indices, _mm512_maskz_compress_epi32(mask, _mm512_add_epi32(lane, _mm512_set1_epi32(first))));
}

}  // namespace winnow::avx512
