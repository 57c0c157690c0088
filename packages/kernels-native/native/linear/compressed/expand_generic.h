#pragma once

#include "base/simd_generic.h"
#include "linear/compressed/expand.h"

namespace winnow::generic {

struct Raw {
  uint8_t byte[64];
};

WINNOW_INLINE Raw loadRaw(const void* p) {
  Raw raw;
  memcpy(raw.byte, p, sizeof raw.byte);
  return raw;
}
WINNOW_INLINE void storeRaw(void* p, const Raw& raw) { memcpy(p, raw.byte, sizeof raw.byte); }

WINNOW_INLINE Raw expandHalves(const uint16_t* values, uint32_t word) {
  uint16_t halves[32];
  for (int i = 0; i < 32; ++i) {
    const bool stored = (word >> i & 1) != 0;
    halves[i] = stored ? *values : static_cast<uint16_t>(0);
    values += stored;
  }
  return loadRaw(halves);
}
WINNOW_INLINE F32x16 expandFloats(const float* values, uint32_t bits) {
  float floats[16];
  for (int i = 0; i < 16; ++i) {
    const bool stored = (bits >> i & 1) != 0;
    floats[i] = stored ? *values : 0.0f;
    values += stored;
  }
  return load(floats);
}
WINNOW_INLINE Raw expandBytes(const int8_t* values, uint64_t word) {
  int8_t bytes[64];
  for (int i = 0; i < 64; ++i) {
    const bool stored = (word >> i & 1) != 0;
    bytes[i] = stored ? *values : static_cast<int8_t>(0);
    values += stored;
  }
  return loadRaw(bytes);
}
WINNOW_INLINE Bf16x32 pairsOf(const Raw& raw) {
  uint16_t halves[32];
  memcpy(halves, raw.byte, sizeof halves);
  return loadPairs(halves);
}

struct I32x16 {
  uint32_t lane[16];
};
struct Quad {
  int8_t x[4];
};

constexpr int kActivationOffset = 0;

WINNOW_INLINE I32x16 zeroInts() { return I32x16{}; }
WINNOW_INLINE F32x16 toFloats(const I32x16& v) {
  return lanes([&](int i) { return static_cast<float>(static_cast<int32_t>(v.lane[i])); });
}
WINNOW_INLINE I32x16 subScaled(const I32x16& v, int k, const int32_t* p) {
  I32x16 result;
  for (int i = 0; i < 16; ++i) result.lane[i] = v.lane[i] - static_cast<uint32_t>(k) * static_cast<uint32_t>(p[i]);
  return result;
}
WINNOW_INLINE Quad broadcastQuad(const void* p) {
  Quad quad;
  memcpy(quad.x, p, sizeof quad.x);
  return quad;
}
WINNOW_INLINE I32x16 dotQuads(I32x16 acc, const Quad& quad, const Raw& raw) {
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 4; ++j) acc.lane[i] += static_cast<uint32_t>(quad.x[j] * static_cast<int8_t>(raw.byte[4 * i + j]));
  return acc;
}

template <int Bits>
struct Places {
  uint8_t lane[16];
};
template <int Bits>
WINNOW_INLINE Places<Bits> placesOf(const uint32_t* words) {
  Places<Bits> places;
  for (int i = 0; i < 16; ++i)
    places.lane[i] = static_cast<uint8_t>(words[i * Bits / 32] >> (i * Bits % 32) & ((1u << Bits) - 1));
  return places;
}
template <int Bits>
WINNOW_INLINE F32x16 pick(const float* x, const Places<Bits>& places) {
  return lanes([&](int i) { return x[places.lane[i]]; });
}

}  // namespace winnow::generic
