#pragma once

#include "base/simd_avx2.h"

namespace winnow::avx2 {

struct F64x8 {
  __m256d lo, hi;
};

WINNOW_INLINE F64x8 broadcast(double x) { return {_mm256_set1_pd(x), _mm256_set1_pd(x)}; }
WINNOW_INLINE F64x8 load(const double* p) { return {_mm256_loadu_pd(p), _mm256_loadu_pd(p + 4)}; }
WINNOW_INLINE F64x8 loadFirst(const double* p, int count) {
  if (count == 8) return load(p);
  double lanes[8] = {};
  memcpy(lanes, p, static_cast<size_t>(count) * sizeof(double));
  return load(lanes);
}
WINNOW_INLINE void store(double* p, F64x8 v) {
  _mm256_storeu_pd(p, v.lo);
  _mm256_storeu_pd(p + 4, v.hi);
}
WINNOW_INLINE void storeFirst(double* p, F64x8 v, int count) {
  if (count == 8) return store(p, v);
  double lanes[8];
  store(lanes, v);
  memcpy(p, lanes, static_cast<size_t>(count) * sizeof(double));
}
WINNOW_INLINE F64x8 fma(F64x8 a, F64x8 b, F64x8 c) { return {_mm256_fmadd_pd(a.lo, b.lo, c.lo), _mm256_fmadd_pd(a.hi, b.hi, c.hi)}; }

}  // namespace winnow::avx2
