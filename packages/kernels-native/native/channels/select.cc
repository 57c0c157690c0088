#include "channels/select.h"

#include <cstring>

#include "channels/kernels.h"
#include "primitives/top_k.h"

namespace winnow {
namespace {

constexpr size_t kLanes = 16;

/** Zeros score below everything else, hence come last among the largest and are cut off. */
bool selectLargest(Context& context, const Selection& selection, const float* x, size_t size, Selected& to) {
  // `rest` has the room and is written afterwards.
  channelKernels(context.isa).scores(selection, x, size, to.rest);
  if (!topKRows(context, to.rest, 1, size, selection.keep, to.indices)) return false;
  std::memcpy(to.rest, x, size * sizeof(float));
  to.count = 0;
  for (size_t i = 0; i < selection.keep; ++i) {
    const int32_t j = to.indices[i];
    if (x[j] == 0) continue;
    to.indices[to.count] = j;
    to.values[to.count++] = x[j];
    to.rest[j] = 0;
  }
  return true;
}

}  // namespace

Selected reserveSelected(Context& context, size_t size) {
  const size_t room = (size + 2 * kLanes - 1) / kLanes * kLanes;
  float* floats = context.values.reserve<float>(2 * room);
  return {0, context.keys.reserve<int32_t>(room), floats, floats + room};
}

bool select(Context& context, const Selection& selection, const float* x, size_t size, Selected& selected) {
  selected = reserveSelected(context, size);
  if (selection.rule == Selection::Rule::largest) return selectLargest(context, selection, x, size, selected);
  const ptrdiff_t count = channelKernels(context.isa).selectAbove(selection, x, size, selected);
  selected.count = count < 0 ? 0 : static_cast<size_t>(count);
  return count >= 0;
}

}  // namespace winnow
