#include <algorithm>

#include "base/flush_denormals.h"
#include "channels/kernels.h"

namespace winnow {
namespace {

constexpr size_t kTasksPerThread = 4;
/** Whole groups of the rows that a kernel takes side by side. */
constexpr size_t kRowUnit = 8;

/** The kernel of gated MLPs with factors 1, which change no bit. */
void activate(Context& context, float* gate, size_t count, Activation activation) {
  float* ones = context.partials.reserve<float>(count);
  std::fill(ones, ones + count, 1.0f);
  gatedActivation(context, gate, ones, count, activation);
}

}  // namespace

ReadBytes gatedLinear(Context& context, const GatedTask& task) {
  const MatrixView& weight = task.weight;
  activate(context, task.gate, weight.outFeatures, task.activation);
  Selected selected;
  if (!select(context, task.selection, task.gate, weight.outFeatures, selected)) return {0, 0};
  std::fill(task.out, task.out + weight.outFeatures, 0.0f);
  const size_t tasks = static_cast<size_t>(context.pool.threads()) * kTasksPerThread;
  const size_t step = (selected.count / tasks / kRowUnit + 1) * kRowUnit;
  context.pool.parallel((selected.count + step - 1) / step, [&](size_t i, int) {
    const FlushDenormals mode;
    const RowDots dots{&weight, task.x, selected.indices, selected.values, task.out, i * step, std::min((i + 1) * step, selected.count)};
    channelKernels(context.isa).dotRows(dots);
  });
  const size_t rowBytes = weight.inFeatures * bytesOf(weight.dtype) + (weight.bias == nullptr ? 0 : sizeof(float));
  return {selected.count * rowBytes};
}

}  // namespace winnow
