#pragma once

#include <algorithm>

#include "base/test.h"
#include "linear/compressed/encode.h"
#include "linear/linear.h"

/** Weights of every compressed format for tests and benchmarks, with the arrays that they point into. */
namespace winnow::test {

inline size_t panelsOf(size_t out) { return (out + 15) / 16; }

/** Random, a given share of zeros (some of them -0). */
inline std::vector<float> sparseFloats(size_t count, double zeros, uint64_t seed) {
  std::vector<float> values = randomFloats(count, seed);
  Random random(seed + 100);
  for (float& value : values)
    if (static_cast<double>(random.uniform()) * 0.5 + 0.5 < zeros) value = random.below(2) == 0 ? 0.0f : -0.0f;
  return values;
}

/** At most `keep` of each `of` neighbours in a row are not zero. */
inline std::vector<float> groupedFloats(size_t out, size_t in, size_t keep, size_t of, uint64_t seed) {
  std::vector<float> values = randomFloats(out * in, seed);
  Random random(seed + 100);
  for (size_t row = 0; row < out; ++row)
    for (size_t start = 0; start < in; start += of) {
      const size_t size = std::min(of, in - start), zeros = size > keep ? size - keep : 0;
      for (size_t zeroed = 0; zeroed < zeros;) {
        float& value = values[row * in + start + random.below(size)];
        zeroed += value != 0.0f;
        value = 0.0f;
      }
    }
  return values;
}

/** `int8-panel16`, or bf16 panels. */
struct DensePanels {
  std::vector<uint8_t> data;
  std::vector<float> scales;
  std::vector<int32_t> sums;
  PanelType type;

  DensePanels(Context& context, PanelType panelType, const std::vector<float>& weight, size_t out, size_t in)
      : data(panelsOf(out) * stepsOf(panelType, in) * kPanelStepBytes, 0xaa), scales(out), sums(out), type(panelType) {
    if (type == PanelType::bf16) {
      packWeight(context, {Dtype::f32, weight.data(), out, in, Dtype::bf16, data.data()});
    } else {
      quantizeWeight(context, {Dtype::f32, weight.data(), out, in}, reinterpret_cast<int8_t*>(data.data()), scales.data(), sums.data());
    }
  }
  PanelWeight view() const { return {type, data.data(), nullptr, nullptr, 0, nullptr, scales.data(), sums.data()}; }
};

struct Bitmap {
  std::vector<uint32_t> bitmap, offsets;
  /** Of exactly the size that the format demands, so that a sanitizer sees any read beyond. */
  std::vector<uint8_t> values;
  PanelWeight weight;

  Bitmap(Context& context, const DensePanels& dense, size_t out, size_t in) {
    const size_t elements = panelElementsOf(dense.type, in), panels = panelsOf(out), width = dense.type == PanelType::bf16 ? 2 : 1;
    bitmap.resize(panels * elements / 32);
    offsets.resize(panels + 1);
    markStored(context, dense.type, panels, elements, dense.data.data(), bitmap.data(), offsets.data());
    values.resize(offsets.back() * width + kPanelStepBytes);
    packStored(context, dense.type, panels, elements, dense.data.data(), offsets.data(), values.data());
    weight = {dense.type, nullptr, bitmap.data(), values.data(), values.size() / width, offsets.data(), dense.scales.data(), dense.sums.data()};
  }
  size_t bytes() const { return bitmap.size() * 4 + offsets.size() * 4 + values.size(); }
};

struct Groups {
  std::vector<uint16_t> values;
  std::vector<uint32_t> places;
  ptrdiff_t crowded;
  GroupsWeight weight;

  Groups(Context& context, const std::vector<float>& dense, size_t out, size_t in, size_t keep, size_t of) {
    const size_t slots = panelsOf(out) * ((in + of - 1) / of) * keep;
    values.resize(slots * 16);
    places.resize(slots * placeWords(of));
    crowded = encodeGroups(context, {Dtype::f32, dense.data(), out, in}, keep, of, values.data(), places.data());
    weight = {keep, of, values.data(), places.data()};
  }
  size_t bytes() const { return values.size() * 2 + places.size() * 4; }
};

}  // namespace winnow::test
