#pragma once

#include "binding_fields.h"
#include "channels/channels.h"

/** Part of binding.cc: reads weights that have a selection. */
namespace winnow::binding {

inline MatrixView matrixOf(const Fields& f, bool byChannels) {
  const size_t out = f.count("outFeatures", 1), in = f.count("inFeatures", 1);
  const double elements = static_cast<double>(out) * static_cast<double>(in);
  const FloatArray data = f.floatArray("data", elements);
  return {data.dtype, data.data, in, out, byChannels, f.floatsOrNull("bias", static_cast<double>(out))};
}

/** Of vectors with `size` entries. */
inline Selection selectionOf(const Fields& f, size_t size) {
  Selection selection;
  selection.scale = f.floatsOrNull("scale", static_cast<double>(size));
  if (!f.has("thresholds")) {
    selection.rule = Selection::Rule::largest;
    selection.keep = f.count("keep");
    f.require(selection.keep <= size, "keep", "be at most the number of entries");
    return selection;
  }
  const Span<float> thresholds = f.floatSpan("thresholds", 1);
  f.require(thresholds.size == 1 || thresholds.size == size, "thresholds", "hold one element, or one for each entry");
  selection.thresholds = thresholds.data;
  selection.perEntry = thresholds.size == size;
  return selection;
}

inline LowRank lowRankOf(const Fields& f, const MatrixView& weight) {
  if (!f.has("lowRank")) return {};
  const Fields factors = f.object("lowRank");
  const size_t rank = factors.count("rank", 1);
  const FloatArray inputs = factors.floatArray("inputs", static_cast<double>(weight.inFeatures) * static_cast<double>(rank));
  const FloatArray outputs = factors.floatArray("outputs", static_cast<double>(weight.outFeatures) * static_cast<double>(rank));
  f.require(inputs.dtype == outputs.dtype, "lowRank.outputs", "have the type of lowRank.inputs");
  return {inputs.dtype, rank, inputs.data, outputs.data};
}

inline DenseRowsTask denseRowsOf(const Fields& f, bool byChannels) {
  const size_t rows = f.count("rows");
  const MatrixView weight = matrixOf(f, byChannels);
  const double count = static_cast<double>(rows);
  return {f.floats("x", count * static_cast<double>(weight.inFeatures)), rows, weight, f.floats("out", count * static_cast<double>(weight.outFeatures)),
          f.get("accumulate").ToBoolean()};
}

inline ChannelsTask channelsTaskOf(const Fields& f) {
  const DenseRowsTask rows = denseRowsOf(f, true);
  const size_t sparseRows = f.count("sparseRows");
  f.require(sparseRows <= rows.rows, "sparseRows", "be at most rows");
  return {rows, sparseRows, selectionOf(f, rows.weight.inFeatures), lowRankOf(f, rows.weight)};
}

inline GatedTask gatedTaskOf(const Fields& f, Activation activation) {
  const MatrixView weight = matrixOf(f, false);
  const double out = static_cast<double>(weight.outFeatures);
  return {f.floats("x", static_cast<double>(weight.inFeatures)), f.floats("gate", out), weight, selectionOf(f, weight.outFeatures), activation,
          f.floats("out", out)};
}

/** Bytes read, or -1 - r if row r of x has a score that is NaN. */
inline Napi::Value readBytes(Napi::Env env, const ReadBytes& read) {
  return Napi::Number::New(env, read.badRow < 0 ? static_cast<double>(read.bytes) : static_cast<double>(-1 - read.badRow));
}

}  // namespace winnow::binding
