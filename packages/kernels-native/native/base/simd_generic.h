#pragma once

#include "base/simd.h"

#define WINNOW_ISA generic

namespace winnow::generic {

struct F32x16 {
  float lane[16];
};

struct Bf16x32 {
  F32x16 even, odd;
};

constexpr int kTileRows = 4;
constexpr int kTileVecs = 1;
/** Keys of a decoder whose scores are summed side by side. */
constexpr int kScoreKeys = 4;

template <class Fn>
WINNOW_INLINE F32x16 lanes(const Fn& fn) {
  F32x16 v;
  for (int i = 0; i < 16; ++i) v.lane[i] = fn(i);
  return v;
}

WINNOW_INLINE uint32_t bitsOf(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
WINNOW_INLINE float floatOf(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

WINNOW_INLINE F32x16 zero() { return F32x16{}; }
WINNOW_INLINE F32x16 broadcast(float x) {
  return lanes([&](int) { return x; });
}
WINNOW_INLINE F32x16 loadFirst(const float* p, int count) {
  F32x16 v{};
  memcpy(v.lane, p, static_cast<size_t>(count) * sizeof(float));
  return v;
}
WINNOW_INLINE F32x16 load(const float* p) { return loadFirst(p, 16); }
WINNOW_INLINE void storeFirst(float* p, const F32x16& v, int count) { memcpy(p, v.lane, static_cast<size_t>(count) * sizeof(float)); }
WINNOW_INLINE void store(float* p, const F32x16& v) { storeFirst(p, v, 16); }

WINNOW_INLINE F32x16 add(const F32x16& a, const F32x16& b) {
  return lanes([&](int i) { return a.lane[i] + b.lane[i]; });
}
WINNOW_INLINE F32x16 sub(const F32x16& a, const F32x16& b) {
  return lanes([&](int i) { return a.lane[i] - b.lane[i]; });
}
WINNOW_INLINE F32x16 mul(const F32x16& a, const F32x16& b) {
  return lanes([&](int i) { return a.lane[i] * b.lane[i]; });
}
WINNOW_INLINE F32x16 div(const F32x16& a, const F32x16& b) {
  return lanes([&](int i) { return a.lane[i] / b.lane[i]; });
}
WINNOW_INLINE F32x16 fma(const F32x16& a, const F32x16& b, const F32x16& c) {
  return lanes([&](int i) { return __builtin_fmaf(a.lane[i], b.lane[i], c.lane[i]); });
}
WINNOW_INLINE F32x16 max(const F32x16& a, const F32x16& b) {
  return lanes([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
}
WINNOW_INLINE F32x16 min(const F32x16& a, const F32x16& b) {
  return lanes([&](int i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
}

WINNOW_INLINE F32x16 selectLanes(uint32_t bits, const F32x16& a, const F32x16& b) {
  return lanes([&](int i) { return (bits >> i & 1) != 0 ? a.lane[i] : b.lane[i]; });
}
WINNOW_INLINE F32x16 zeroBelow(const F32x16& x, float limit, const F32x16& v) {
  return lanes([&](int i) { return x.lane[i] < limit ? 0.0f : v.lane[i]; });
}
WINNOW_INLINE F32x16 scaleByExponent(const F32x16& v, const F32x16& biased) {
  return lanes([&](int i) { return floatOf(bitsOf(v.lane[i]) + (bitsOf(biased.lane[i]) << 23)); });
}

WINNOW_INLINE float sumLanes(const F32x16& v) {
  float x[16];
  memcpy(x, v.lane, sizeof x);
  for (int half = 8; half >= 1; half /= 2)
    for (int i = 0; i < half; ++i) x[i] = x[i] + x[i + half];
  return x[0];
}
WINNOW_INLINE float maxLanes(const F32x16& v) {
  float x[16];
  memcpy(x, v.lane, sizeof x);
  for (int half = 8; half >= 1; half /= 2)
    for (int i = 0; i < half; ++i) x[i] = x[i] > x[i + half] ? x[i] : x[i + half];
  return x[0];
}
WINNOW_INLINE F32x16 sumLanes16(const F32x16 (&v)[16]) {
  return lanes([&](int i) { return sumLanes(v[i]); });
}
WINNOW_INLINE F32x16 loadUnits(const void* p, size_t bytes) {
  F32x16 v{};
  memcpy(v.lane, p, bytes);
  return v;
}
WINNOW_INLINE void storeUnits(void* p, const F32x16& v) { memcpy(p, v.lane, sizeof v.lane); }

WINNOW_INLINE void transpose16(F32x16 (&v)[16]) {
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < i; ++j) {
      const uint32_t a = bitsOf(v[i].lane[j]), b = bitsOf(v[j].lane[i]);
      memcpy(&v[i].lane[j], &b, sizeof b);
      memcpy(&v[j].lane[i], &a, sizeof a);
    }
}

WINNOW_INLINE uint16_t roundBf16(float x) {
  const uint32_t bits = bitsOf(x), magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return static_cast<uint16_t>((bits | 0x400000) >> 16);
  if (magnitude < 0x00800000) return static_cast<uint16_t>((bits & 0x80000000u) >> 16);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
WINNOW_INLINE float fromBf16(uint16_t bits) { return floatOf(static_cast<uint32_t>(bits) << 16); }

WINNOW_INLINE F32x16 widenBf16First(const uint16_t* p, int count) {
  return lanes([&](int i) { return i < count ? fromBf16(p[i]) : 0.0f; });
}
WINNOW_INLINE F32x16 widenBf16(const uint16_t* p) { return widenBf16First(p, 16); }
WINNOW_INLINE F32x16 quantizeBf16(const F32x16& v) {
  return lanes([&](int i) { return fromBf16(roundBf16(v.lane[i])); });
}
WINNOW_INLINE void storeBf16(uint16_t* p, const F32x16& v) {
  for (int i = 0; i < 16; ++i) p[i] = roundBf16(v.lane[i]);
}

WINNOW_INLINE Bf16x32 loadPairsFirst(const uint16_t* p, int count) {
  return {lanes([&](int i) { return 2 * i < count ? fromBf16(p[2 * i]) : 0.0f; }),
          lanes([&](int i) { return 2 * i + 1 < count ? fromBf16(p[2 * i + 1]) : 0.0f; })};
}
WINNOW_INLINE Bf16x32 loadPairs(const uint16_t* p) { return loadPairsFirst(p, 32); }
WINNOW_INLINE Bf16x32 broadcastPair(const uint16_t* p) { return {broadcast(fromBf16(p[0])), broadcast(fromBf16(p[1]))}; }
WINNOW_INLINE F32x16 dotPairs(const F32x16& acc, const Bf16x32& a, const Bf16x32& b) {
  return fma(a.even, b.even, fma(a.odd, b.odd, acc));
}
WINNOW_INLINE Bf16x32 pairRows(const uint16_t* a, const uint16_t* b) { return {widenBf16(a), widenBf16(b)}; }
WINNOW_INLINE void interleave(const uint16_t* a, const uint16_t* b, uint16_t* p) {
  for (int i = 0; i < 16; ++i) {
    p[2 * i] = a[i];
    p[2 * i + 1] = b[i];
  }
}

}  // namespace winnow::generic
