#pragma once

#include "base/simd_avx512.h"

namespace winnow::avx512 {

using F64x8 = __m512d;

WINNOW_INLINE __mmask8 firstDoubles(int count) { return static_cast<__mmask8>((1u << count) - 1); }

WINNOW_INLINE F64x8 broadcast(double x) { return _mm512_set1_pd(x); }
WINNOW_INLINE F64x8 load(const double* p) { return _mm512_loadu_pd(p); }
WINNOW_INLINE F64x8 loadFirst(const double* p, int count) { return _mm512_maskz_loadu_pd(firstDoubles(count), p); }
WINNOW_INLINE void store(double* p, F64x8 v) { _mm512_storeu_pd(p, v); }
WINNOW_INLINE void storeFirst(double* p, F64x8 v, int count) { _mm512_mask_storeu_pd(p, firstDoubles(count), v); }
WINNOW_INLINE F64x8 fma(F64x8 a, F64x8 b, F64x8 c) { return _mm512_fmadd_pd(a, b, c); }

}  // namespace winnow::avx512
