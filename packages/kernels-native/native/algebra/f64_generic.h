#pragma once

#include "base/simd_generic.h"

namespace winnow::generic {

struct F64x8 {
  double lane[8];
};

WINNOW_INLINE F64x8 broadcast(double x) {
  F64x8 v;
  for (int i = 0; i < 8; ++i) v.lane[i] = x;
  return v;
}
WINNOW_INLINE F64x8 loadFirst(const double* p, int count) {
  F64x8 v{};
  memcpy(v.lane, p, static_cast<size_t>(count) * sizeof(double));
  return v;
}
WINNOW_INLINE F64x8 load(const double* p) { return loadFirst(p, 8); }
WINNOW_INLINE void storeFirst(double* p, const F64x8& v, int count) { memcpy(p, v.lane, static_cast<size_t>(count) * sizeof(double)); }
WINNOW_INLINE void store(double* p, const F64x8& v) { storeFirst(p, v, 8); }
WINNOW_INLINE F64x8 fma(const F64x8& a, const F64x8& b, const F64x8& c) {
  F64x8 v;
  for (int i = 0; i < 8; ++i) v.lane[i] = __builtin_fma(a.lane[i], b.lane[i], c.lane[i]);
  return v;
}

}  // namespace winnow::generic
