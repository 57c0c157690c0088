#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace winnow {

/** Unsigned key with the order of the floats; -0 and 0 get the same key. */
inline uint32_t orderedKey(float x) {
  const float positiveZero = x + 0.0f;
  uint32_t bits;
  std::memcpy(&bits, &positiveZero, sizeof bits);
  const uint32_t negative = 0u - (bits >> 31);
  return bits ^ (negative | 0x80000000u);
}

/** Keys of `count` values; false if one of them is NaN. */
inline bool orderedKeys(const float* values, size_t count, uint32_t* keys) {
  uint32_t bad = 0;
  for (size_t i = 0; i < count; ++i) {
    bad |= values[i] != values[i];
    keys[i] = orderedKey(values[i]);
  }
  return bad == 0;
}

/** Digits of a key that selection and sorting take in turn: 2048 counters fit the first-level cache. */
constexpr unsigned kDigitBits = 11;
constexpr size_t kDigits = size_t{1} << kDigitBits;

}  // namespace winnow
