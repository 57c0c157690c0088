#pragma once

#include <cstddef>
#include <cstdint>

namespace winnow {

/** Selection and sorting take keys (unsigned, in the order of the floats) digit by digit: 2048 counters fit the first-level cache. */
constexpr unsigned kDigitBits = 11;
constexpr size_t kDigits = size_t{1} << kDigitBits;

}  // namespace winnow
