#pragma once

#include "binding_fields.h"
#include "linear/compressed/encode.h"

/** Part of binding.cc: reads and checks compressed weights. Lengths are compared in float64, which hostile sizes cannot overflow. */
namespace winnow::binding {

constexpr double kMostInt8Inputs = 131072;

inline double panelCount(size_t out) { return static_cast<double>((out + 15) / 16); }

inline Product productOf(const Fields& f, const Fields& weight) {
  const size_t rows = f.count("rows"), in = weight.count("inFeatures", 1), out = weight.count("outFeatures", 1);
  const double count = static_cast<double>(rows);
  return {f.floats("x", count * static_cast<double>(in)), rows, in, out, weight.floatsOrNull("bias", static_cast<double>(out)),
          f.floats("out", count * static_cast<double>(out)), f.get("accumulate").ToBoolean()};
}

inline DenseMatrix denseMatrixOf(const Fields& f) {
  const size_t out = f.count("outFeatures", 1), in = f.count("inFeatures", 1);
  const FloatArray data = f.floatArray("data", static_cast<double>(out) * static_cast<double>(in));
  return {data.dtype, data.data, out, in};
}

/** Formats `int8-panel16` (with `data`) and `bitmap`. */
inline PanelWeight panelWeightOf(const Fields& f) {
  const size_t out = f.count("outFeatures", 1), in = f.count("inFeatures", 1);
  PanelWeight weight{f.text("dtype") == "int8" ? PanelType::int8 : PanelType::bf16, nullptr, nullptr, nullptr, 0, nullptr, nullptr, nullptr};
  const double elements = panelCount(out) * static_cast<double>(panelElementsOf(weight.type, in));
  const bool int8 = weight.type == PanelType::int8;
  if (int8) {
    f.require(static_cast<double>(in) <= kMostInt8Inputs, "inFeatures", "be at most 131072 for int8");
    weight.scales = f.floats("scales", static_cast<double>(out));
    weight.sums = f.indices("sums", static_cast<double>(out)).data;
  }
  if (f.has("data")) {
    f.require(int8, "dtype", "be int8");
    weight.data = f.signedBytes("data", elements).data;
    return weight;
  }
  weight.bitmap = f.words("bitmap", elements / 32).data;
  const Span<uint32_t> offsets = f.words("offsets", panelCount(out) + 1);
  weight.offsets = offsets.data;
  const Span<int8_t> bytes = int8 ? f.signedBytes("values", 64) : Span<int8_t>{};
  const Span<uint16_t> halves = int8 ? Span<uint16_t>{} : f.halves("values", 32);
  weight.values = int8 ? static_cast<const void*>(bytes.data) : halves.data;
  weight.valuesLength = int8 ? bytes.size : halves.size;
  const size_t panels = (out + 15) / 16;
  for (size_t panel = 0; panel < panels; ++panel) f.require(offsets.data[panel] <= offsets.data[panel + 1], "offsets", "ascend");
  f.require(size_t{offsets.data[panels]} + (int8 ? 64 : 32) <= weight.valuesLength, "values", "hold the last offset and 64 bytes more");
  return weight;
}

inline GroupsWeight groupsShapeOf(const Fields& f) {
  const size_t of = f.count("of"), keep = f.count("keep", 1);
  f.require(of == 2 || of == 4 || of == 8 || of == 16, "of", "be 2, 4, 8 or 16");
  f.require(keep <= of, "keep", "be at most of");
  return {keep, of, nullptr, nullptr};
}

inline GroupsWeight groupsWeightOf(const Fields& f) {
  GroupsWeight weight = groupsShapeOf(f);
  const size_t out = f.count("outFeatures", 1), in = f.count("inFeatures", 1);
  const double slots = panelCount(out) * static_cast<double>((in + weight.of - 1) / weight.of * weight.keep);
  weight.values = f.halves("values", slots * 16).data;
  weight.places = f.words("places", slots * static_cast<double>(placeWords(weight.of))).data;
  return weight;
}

}  // namespace winnow::binding
