#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "linear/compressed/encode.h"
#include "linear/compressed/kernels.h"

namespace winnow {
namespace {

/** Runs `wrong(panel, thread)`, which gives an index or -1, for every panel; the least index, or -1. */
template <class Fn>
ptrdiff_t firstWrong(Context& context, size_t panels, const Fn& wrong) {
  std::vector<ptrdiff_t> found(panels);
  context.pool.parallel(panels, [&](size_t panel, int thread) { found[panel] = wrong(panel, thread); });
  const auto first = std::find_if(found.begin(), found.end(), [](ptrdiff_t index) { return index >= 0; });
  return first == found.end() ? -1 : *first;
}

size_t panelsOf(size_t outFeatures) { return (outFeatures + 15) / 16; }

}  // namespace

ptrdiff_t wrongPanel(Context& context, const PanelWeight& weight, size_t outFeatures, size_t inFeatures) {
  const size_t words = panelElementsOf(weight.type, inFeatures) / 32;
  return firstWrong(context, panelsOf(outFeatures), [&](size_t panel, int) {
    size_t count = 0;
    for (size_t word = 0; word < words; ++word) count += static_cast<size_t>(__builtin_popcount(weight.bitmap[panel * words + word]));
    return count == weight.offsets[panel + 1] - weight.offsets[panel] ? ptrdiff_t{-1} : static_cast<ptrdiff_t>(panel);
  });
}

ptrdiff_t wrongSum(Context& context, const PanelWeight& weight, size_t outFeatures, size_t inFeatures) {
  const CompressedKernels& kernels = compressedKernelsOf(context.isa);
  const size_t elements = panelElementsOf(weight.type, inFeatures);
  for (AlignedBuffer& scratch : context.threadScratch) scratch.reserve<int8_t>(elements);
  return firstWrong(context, panelsOf(outFeatures), [&](size_t panel, int thread) {
    const int8_t* data = static_cast<const int8_t*>(weight.data) + panel * elements;
    if (weight.data == nullptr) {
      int8_t* scratch = context.threadScratch[static_cast<size_t>(thread)].reserve<int8_t>(elements);
      kernels.expandPanel(weight, inFeatures, panel, reinterpret_cast<uint8_t*>(scratch));
      data = scratch;
    }
    int32_t sums[16] = {};
    for (size_t i = 0; i < elements; ++i) sums[i / 4 % 16] += data[i];
    for (size_t row = panel * 16; row < std::min(panel * 16 + 16, outFeatures); ++row)
      if (sums[row % 16] != weight.sums[row]) return static_cast<ptrdiff_t>(row);
    return ptrdiff_t{-1};
  });
}

ptrdiff_t wrongPlaces(Context& context, const GroupsWeight& weight, size_t outFeatures, size_t inFeatures) {
  const size_t slots = (inFeatures + weight.of - 1) / weight.of * weight.keep, words = placeWords(weight.of), bits = words * 2;
  return firstWrong(context, panelsOf(outFeatures), [&](size_t panel, int) {
    for (size_t slot = panel * slots; slot < (panel + 1) * slots; ++slot) {
      const size_t start = (slot - panel * slots) / weight.keep * weight.of, size = std::min(weight.of, inFeatures - start);
      for (size_t lane = 0; lane < 16; ++lane) {
        const size_t place = weight.places[slot * words + bits * lane / 32] >> (bits * lane % 32) & ((1u << bits) - 1);
        if (place >= size) return static_cast<ptrdiff_t>(panel);
      }
    }
    return ptrdiff_t{-1};
  });
}

}  // namespace winnow
