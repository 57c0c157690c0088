#pragma once

#include <cstddef>
#include <cstdint>

#include "base/context.h"

namespace winnow {

/**
 * For each row of `values` `[rows, columns]`: indices of the `k` largest, ascending, into `out` `[rows, k]`; of equal values the lower indices.
 * 0 <= k <= columns < 2^31. Returns false, with `out` undefined, if a value is NaN. Rows run in parallel. O(columns) each.
 */
bool topKRows(Context& context, const float* values, size_t rows, size_t columns, size_t k, int32_t* out);

/**
 * Fewest of the largest values that sum to at least `mass` times the sum of all (sums in float64); ties: lower index first.
 * Their indices go ascending to `out` (room for `count`). Returns how many, or -1 if a value is NaN. Values and mass are not negative. O(count).
 */
ptrdiff_t prefixMass(Context& context, const float* values, size_t count, double mass, int32_t* out);

}  // namespace winnow
