#pragma once

#include "base/dtype.h"
#include "linear/compressed/compressed.h"

namespace winnow {

/** Row-major `[outFeatures, inFeatures]`. */
struct DenseMatrix {
  Dtype dtype;
  const void* data;
  size_t outFeatures;
  size_t inFeatures;
};

/** The first element that is not finite, or that a rounding to `to` would turn into infinity; -1 if there is none. */
ptrdiff_t firstNotFinite(Context& context, const DenseMatrix& weight, Dtype to);

/** Format `int8-panel16`: `data` of panelElementsOf for each panel, `scales` and `sums` of outFeatures. The weight must be finite. */
void quantizeWeight(Context& context, const DenseMatrix& weight, int8_t* data, float* scales, int32_t* sums);

/** Sets the bit of every element of dense panels that is not zero, and `offsets[panels + 1]`. Returns whether the number of these fits 32 bits. */
bool markStored(Context& context, PanelType type, size_t panels, size_t panelElements, const void* data, uint32_t* bitmap, uint32_t* offsets);

/** Moves the marked elements of dense panels to `values`, panel by panel. */
void packStored(Context& context, PanelType type, size_t panels, size_t panelElements, const void* data, const uint32_t* offsets, void* values);

/** Format `groups`; returns the first group, counted row by row, with more than `keep` elements that are not zero, or -1. */
ptrdiff_t encodeGroups(Context& context, const DenseMatrix& weight, size_t keep, size_t of, uint16_t* values, uint32_t* places);

/** The first panel whose bitmap disagrees with `offsets`, or -1. */
ptrdiff_t wrongPanel(Context& context, const PanelWeight& weight, size_t outFeatures, size_t inFeatures);

/** int8: the first row whose elements do not add up to its entry of `sums`, or -1. Offsets must agree with the bitmap. */
ptrdiff_t wrongSum(Context& context, const PanelWeight& weight, size_t outFeatures, size_t inFeatures);

/** The first panel with a value at a place that its group does not have, or -1. */
ptrdiff_t wrongPlaces(Context& context, const GroupsWeight& weight, size_t outFeatures, size_t inFeatures);

}  // namespace winnow
