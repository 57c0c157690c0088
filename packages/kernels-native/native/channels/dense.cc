#include <algorithm>

#include "base/flush_denormals.h"
#include "cache/bf16.h"
#include "channels/kernels.h"

namespace winnow {
namespace {

size_t ceilDiv(size_t x, size_t y) { return (x + y - 1) / y; }

/** x in the weight's type, rows `stride` elements apart. */
struct Rounded {
  const void* x;
  size_t stride;
};

Rounded roundedRows(Context& context, const DenseRowsTask& task) {
  const size_t width = task.weight.inFeatures;
  if (task.weight.dtype == Dtype::f32) return {task.x, width};
  const size_t stride = ceilDiv(width, 2) * 2;
  uint16_t* rounded = context.activations.reserve<uint16_t>(task.rows * stride);
  context.pool.parallel(task.rows, [&](size_t r, int) { channelKernels(context.isa).roundRow(task.x + r * width, width, rounded + r * stride); });
  return {rounded, stride};
}

/** The order of sums over panels of pairs: channels 1, 0, 3, 2, ... of the rounded row; of a last channel alone, as it comes. */
Selected pairedChannels(Context& context, const DenseRowsTask& task) {
  const size_t size = task.weight.inFeatures;
  Selected list = reserveSelected(context, size);
  const uint16_t* rounded = static_cast<const uint16_t*>(roundedRows(context, task).x);
  for (size_t i = 0; i < size; ++i) {
    const size_t channel = (i ^ 1) < size ? i ^ 1 : i;
    list.indices[i] = static_cast<int32_t>(channel);
    list.values[i] = fromBf16(rounded[channel]);
  }
  list.count = size;
  return list;
}

/** One row needs no panels: all channels pass by as they lie in memory. */
void oneRow(Context& context, const DenseRowsTask& task) {
  if (task.weight.dtype == Dtype::bf16) return sumListed(context, task.weight, pairedChannels(context, task), task.out, task.accumulate);
  sumListed(context, task.weight, {task.weight.inFeatures, nullptr, const_cast<float*>(task.x), nullptr}, task.out, task.accumulate);
}

/** Panels first; rows only where panels are too few for the threads, since every task gathers its panels again. */
struct Split {
  size_t panelsPerTask;
  size_t rowsPerTask;
};

Split splitOf(size_t rows, size_t panels, size_t threads) {
  constexpr size_t kTasksPerThread = 4, kLeastRows = 48;
  const size_t wanted = threads * kTasksPerThread;
  const size_t panelsPerTask = std::clamp<size_t>(panels / wanted, 1, kTilePanels);
  const size_t panelTasks = ceilDiv(panels, panelsPerTask);
  return {panelsPerTask, std::max(kLeastRows, ceilDiv(rows, ceilDiv(wanted, panelTasks)))};
}

void manyRows(Context& context, const DenseRowsTask& task) {
  const ChannelKernels& kernels = channelKernels(context.isa);
  const size_t panels = ceilDiv(task.weight.outFeatures, 16);
  const Split split = splitOf(task.rows, panels, static_cast<size_t>(context.pool.threads()));
  const size_t panelTasks = ceilDiv(panels, split.panelsPerTask), rowTasks = ceilDiv(task.rows, split.rowsPerTask);
  const Rounded x = roundedRows(context, task);
  for (AlignedBuffer& scratch : context.threadScratch) scratch.reserve<float>(kTileFloats);
  context.pool.parallel(panelTasks * rowTasks, [&](size_t i, int thread) {
    const FlushDenormals mode;
    const size_t panel = i % panelTasks * split.panelsPerTask, row = i / panelTasks * split.rowsPerTask;
    kernels.multiplyBlock({&task, x.x, x.stride, row, std::min(row + split.rowsPerTask, task.rows), panel,
                           std::min(panel + split.panelsPerTask, panels), context.threadScratch[static_cast<size_t>(thread)].reserve<float>(kTileFloats)});
  });
}

}  // namespace

ReadBytes denseRows(Context& context, const DenseRowsTask& task) {
  if (task.rows == 0) return {};
  task.rows == 1 && task.weight.byChannels ? oneRow(context, task) : manyRows(context, task);
  return {task.weight.bytes() + task.weight.biasBytes()};
}

}  // namespace winnow
