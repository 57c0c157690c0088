#include "linear/linear.h"

#include <algorithm>

#include "base/flush_denormals.h"
#include "linear/compressed/compressed.h"
#include "linear/kernels.h"

namespace winnow {
namespace {

/** Where rows are many, tasks take some rows and all panels (the weight stays in cache); else all rows and some panels. */
struct Split {
  size_t rowsPerTask;
  size_t panelsPerTask;
};

size_t roundUp(size_t x, size_t unit) { return (x + unit - 1) / unit * unit; }
size_t ceilDiv(size_t x, size_t y) { return (x + y - 1) / y; }

Split splitOf(size_t rows, size_t panels, size_t threads) {
  constexpr size_t kTasksPerThread = 4, kRowUnit = 12, kPanelUnit = 4, kMostRows = 96;
  const size_t tasks = threads * kTasksPerThread;
  if (rows >= tasks * kRowUnit) return {std::min(kMostRows, roundUp(ceilDiv(rows, tasks), kRowUnit)), panels};
  return {rows, roundUp(ceilDiv(panels, tasks), kPanelUnit)};
}

}  // namespace

const LinearKernels& linearKernelsOf(Isa isa) {
#ifndef WINNOW_NO_AVX512
  if (isa == Isa::avx512) return avx512::linearKernels;
#endif
#ifndef WINNOW_NO_X86
  if (isa == Isa::avx2) return avx2::linearKernels;
#endif
  (void)isa;
  return generic::linearKernels;
}

void linear(Context& context, const LinearTask& task) {
  if (task.rows == 0 || task.outFeatures == 0) return;
  // Few rows are as fast as memory, and the kernels of panels prefetch.
  if (task.dtype == Dtype::bf16 && task.rows <= kMostRowsInRegisters) {
    const PanelWeight weight{PanelType::bf16, task.weight, nullptr, nullptr, 0, nullptr, nullptr, nullptr};
    return linearPanels(context, {task.x, task.rows, task.inFeatures, task.outFeatures, task.bias, task.out, task.accumulate}, weight);
  }
  const LinearKernels& kernels = linearKernelsOf(context.isa);
  const size_t panels = ceilDiv(task.outFeatures, 16);
  const Split split = splitOf(task.rows, panels, static_cast<size_t>(context.pool.threads()));
  const size_t rowTasks = ceilDiv(task.rows, split.rowsPerTask), panelTasks = ceilDiv(panels, split.panelsPerTask);

  const size_t stride = roundUp(task.inFeatures, 2);
  uint16_t* rounded = nullptr;
  if (task.dtype == Dtype::bf16) {
    rounded = context.activations.reserve<uint16_t>(task.rows * stride);
    context.pool.parallel(rowTasks, [&](size_t i, int) {
      const FlushDenormals mode;
      const size_t begin = i * split.rowsPerTask, rows = std::min(split.rowsPerTask, task.rows - begin);
      kernels.roundRows(task.x + begin * task.inFeatures, rows, task.inFeatures, rounded + begin * stride, stride);
    });
  }

  context.pool.parallel(rowTasks * panelTasks, [&](size_t i, int) {
    const FlushDenormals mode;
    const size_t row = i / panelTasks * split.rowsPerTask, panel = i % panelTasks * split.panelsPerTask;
    LinearBlock block{&task, task.x, task.inFeatures, row, std::min(row + split.rowsPerTask, task.rows), panel,
                      std::min(panel + split.panelsPerTask, panels)};
    if (rounded != nullptr) {
      block.x = rounded;
      block.xStride = stride;
    }
    kernels.multiplyBlock(block);
  });
}

void packWeight(Context& context, const PackWeightTask& task) {
  const LinearKernels& kernels = linearKernelsOf(context.isa);
  const size_t rowStride = roundUp(task.inFeatures, 32);
  for (AlignedBuffer& scratch : context.threadScratch) scratch.reserve<float>(16 * rowStride);
  context.pool.parallel(ceilDiv(task.outFeatures, 16), [&](size_t panel, int thread) {
    float* rows = context.threadScratch[static_cast<size_t>(thread)].reserve<float>(16 * rowStride);
    kernels.packPanel({&task, panel, rows, rowStride});
  });
}

}  // namespace winnow
