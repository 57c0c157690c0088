#pragma once

#include <cstddef>
#include <cstdint>

#include "base/context.h"

namespace winnow {

/** Which entries of a vector matter, by `|x_j| * scale_j`. */
struct Selection {
  enum class Rule { threshold, largest };

  Rule rule = Rule::threshold;
  /** threshold: one for each entry, or a single one; selected are scores above it. */
  const float* thresholds = nullptr;
  bool perEntry = false;
  /** largest: how many; ties go to the lower index, entries that are 0 are never selected. */
  size_t keep = 0;
  /** Null: 1. */
  const float* scale = nullptr;
};

/** Entries of a vector of `size` in scratch memory of the context, valid until the next selection. */
struct Selected {
  size_t count;
  /** Ascending. */
  int32_t* indices;
  float* values;
  /** `[size]`: the vector with the selected entries set to 0. */
  float* rest;
};

/** Room for the entries of a vector; kernels store whole vectors of 16. */
Selected reserveSelected(Context& context, size_t size);

/** False if a score is NaN. One pass for a threshold; the largest are found digit by digit, without sorting. O(size). */
bool select(Context& context, const Selection& selection, const float* x, size_t size, Selected& selected);

}  // namespace winnow
