#pragma once

#include "binding_fields.h"
#include "packed/packed.h"

/** Part of binding.cc: reads packed rows, whose arrays hold every row that there is room for. */
namespace winnow::binding {

inline PackedView packedOf(const Fields& parent, const char* field) {
  const Fields f = parent.object(field);
  PackedView view{};
  view.dtype = f.dtype("dtype");
  view.heads = f.count("heads", 1);
  view.length = f.count("length");
  view.capacity = f.count("capacity");
  view.headDim = f.count("headDim", 1);
  view.kept = f.count("kept", 1);
  f.require(view.length <= view.capacity, "length", "be at most capacity");
  f.require(view.kept <= view.headDim, "kept", "be at most headDim");
  const double rows = static_cast<double>(view.heads) * static_cast<double>(view.capacity);
  const Span<uint8_t> bitmap = f.bytes("bitmap");
  f.require(static_cast<double>(bitmap.size) >= rows * static_cast<double>((view.headDim + 7) / 8), "bitmap", "hold every row");
  const FloatArray values = f.floatArray("values", rows * static_cast<double>(view.kept));
  f.require(values.dtype == view.dtype, "values", "be of the type that dtype names");
  view.bitmap = bitmap.data;
  view.values = values.data;
  return view;
}

inline void requireSameRows(const Fields& f, const char* field, const PackedView& view, const Heads& x) {
  const bool same = view.heads == x.heads && view.headDim == x.headDim && view.dtype == x.dtype;
  f.require(same, field, "have the heads, headDim and dtype of the rows beside it");
}

inline void packTokensOf(Context& context, const Fields& f) {
  const Heads source = f.heads("source");
  const PackedView view = packedOf(f, "target");
  const size_t start = f.count("start"), rows = source.heads * source.length;
  requireSameRows(f, "target", view, source);
  f.require(start + source.length <= view.capacity, "start", "leave room for every token");
  const uint16_t* indices = f.halves("indices", static_cast<double>(rows) * static_cast<double>(view.kept)).data;
  const ptrdiff_t wrong = wrongIndices(indices, rows, view.kept, source.headDim);
  if (wrong >= 0) f.fail("elements.indices must ascend below headDim, those of row " + std::to_string(wrong) + " do not");
  const PackedTarget target{view.capacity, view.kept, const_cast<uint8_t*>(view.bitmap), const_cast<void*>(view.values)};
  packTokens(context, source.cache(), indices, target, start);
}

inline void requireNoneWrong(const Fields& f, const char* field, const PackedView& view, size_t row) {
  if (row == WrongRows::kNone) return;
  f.fail(std::string(field) + ".bitmap must have " + std::to_string(view.kept) + " bits in every row, none from " + std::to_string(view.headDim) +
         " on; that of head " + std::to_string(row / view.length) + ", token " + std::to_string(row % view.length) + " has others");
}

}  // namespace winnow::binding
