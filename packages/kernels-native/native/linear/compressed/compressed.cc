#include "linear/compressed/compressed.h"

#include <algorithm>

#include "base/flush_denormals.h"
#include "linear/compressed/kernels.h"

namespace winnow {
namespace {

size_t ceilDiv(size_t x, size_t y) { return (x + y - 1) / y; }
size_t roundUp(size_t x, size_t unit) { return ceilDiv(x, unit) * unit; }

constexpr size_t kTasksPerThread = 4;
/** Panels that kernels take side by side. */
constexpr size_t kPanelsAtOnce = 4;

size_t tasksOf(const Context& context, size_t panels) {
  return std::min(static_cast<size_t>(context.pool.threads()) * kTasksPerThread, ceilDiv(panels, kPanelsAtOnce));
}

/** Bytes of the weight before a panel. */
size_t bytesBefore(const PanelWeight& weight, size_t steps, size_t panel) {
  if (weight.data != nullptr) return panel * steps * kPanelStepBytes;
  const size_t valueBytes = weight.type == PanelType::bf16 ? 2 : 1;
  return panel * steps * kPanelStepBytes / valueBytes / 8 + weight.offsets[panel] * valueBytes;
}

/** First panel of task `task` of `tasks`, so that all read about as many bytes; a multiple of kPanelsAtOnce. */
size_t firstPanelOf(const PanelWeight& weight, size_t steps, size_t panels, size_t task, size_t tasks) {
  if (task == tasks) return panels;
  const size_t wanted = static_cast<size_t>(static_cast<double>(bytesBefore(weight, steps, panels)) * static_cast<double>(task) / static_cast<double>(tasks));
  size_t low = 0, high = ceilDiv(panels, kPanelsAtOnce);
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (bytesBefore(weight, steps, std::min(middle * kPanelsAtOnce, panels)) < wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return std::min(low * kPanelsAtOnce, panels);
}

/** Activations as the kernels take them, in scratch memory. */
struct Prepared {
  uint8_t* x;
  size_t stride;
  float* scales;
};

Prepared prepare(Context& context, const CompressedKernels& kernels, const Product& product, PanelType type) {
  const size_t stride = roundUp(stepsOf(type, product.inFeatures) * 4, 64), scaleBytes = roundUp(product.rows * sizeof(float), 64);
  uint8_t* memory = context.activations.reserve<uint8_t>(scaleBytes + product.rows * stride);
  const Prepared prepared{memory + scaleBytes, stride, reinterpret_cast<float*>(memory)};
  context.pool.parallel(product.rows, [&](size_t row, int) {
    const FlushDenormals mode;
    const float* x = product.x + row * product.inFeatures;
    uint8_t* to = prepared.x + row * stride;
    if (type == PanelType::bf16) {
      kernels.roundPairs(x, product.inFeatures, to, stride);
    } else {
      prepared.scales[row] = kernels.quantizeRow(x, product.inFeatures, to, stride);
    }
  });
  return prepared;
}

void multiplyInTasks(Context& context, const CompressedKernels& kernels, const PanelBlock& all) {
  const size_t panels = all.panelEnd, steps = stepsOf(all.weight->type, all.product->inFeatures), tasks = tasksOf(context, panels);
  context.pool.parallel(tasks, [&](size_t task, int) {
    const FlushDenormals mode;
    PanelBlock block = all;
    block.panelBegin = firstPanelOf(*all.weight, steps, panels, task, tasks);
    block.panelEnd = firstPanelOf(*all.weight, steps, panels, task + 1, tasks);
    kernels.multiplyPanels(block);
  });
}

/** Each panel is expanded once, next to its neighbours in scratch memory, and multiplied with all rows there. */
void expandAndMultiply(Context& context, const CompressedKernels& kernels, const PanelBlock& all) {
  const size_t panelBytes = stepsOf(all.weight->type, all.product->inFeatures) * kPanelStepBytes;
  for (AlignedBuffer& scratch : context.threadScratch) scratch.reserve<uint8_t>(kPanelsAtOnce * panelBytes);
  context.pool.parallel(ceilDiv(all.panelEnd, kPanelsAtOnce), [&](size_t task, int thread) {
    const FlushDenormals mode;
    uint8_t* scratch = context.threadScratch[static_cast<size_t>(thread)].reserve<uint8_t>(kPanelsAtOnce * panelBytes);
    PanelWeight dense = *all.weight;
    dense.data = scratch;
    PanelBlock block = all;
    block.weight = &dense;
    block.panelBegin = block.firstPanel = task * kPanelsAtOnce;
    block.panelEnd = std::min(block.panelBegin + kPanelsAtOnce, all.panelEnd);
    for (size_t panel = block.panelBegin; panel < block.panelEnd; ++panel)
      kernels.expandPanel(*all.weight, all.product->inFeatures, panel, scratch + (panel - block.panelBegin) * panelBytes);
    kernels.multiplyPanels(block);
  });
}

}  // namespace

const CompressedKernels& compressedKernelsOf(Isa isa) {
#ifndef WINNOW_NO_AVX512
  if (isa == Isa::avx512) return avx512::compressedKernels;
#endif
#ifndef WINNOW_NO_X86
  if (isa == Isa::avx2) return avx2::compressedKernels;
#endif
  (void)isa;
  return generic::compressedKernels;
}

void linearPanels(Context& context, const Product& product, const PanelWeight& weight) {
  if (product.rows == 0) return;
  const CompressedKernels& kernels = compressedKernelsOf(context.isa);
  const Prepared prepared = prepare(context, kernels, product, weight.type);
  const PanelBlock all{&product, &weight, prepared.x, prepared.stride, prepared.scales, 0, product.rows, 0, ceilDiv(product.outFeatures, 16), 0};
  const bool expand = weight.data == nullptr && product.rows > kMostRowsInRegisters;
  expand ? expandAndMultiply(context, kernels, all) : multiplyInTasks(context, kernels, all);
}

void linearGroups(Context& context, const Product& product, const GroupsWeight& weight) {
  if (product.rows == 0) return;
  const CompressedKernels& kernels = compressedKernelsOf(context.isa);
  const size_t stride = roundUp(product.inFeatures, 16) + 16;
  float* x = context.activations.reserve<float>(product.rows * stride);
  context.pool.parallel(product.rows, [&](size_t row, int) {
    const FlushDenormals mode;
    kernels.roundFloats(product.x + row * product.inFeatures, product.inFeatures, x + row * stride, stride);
  });
  const size_t panels = ceilDiv(product.outFeatures, 16), tasks = tasksOf(context, panels);
  const size_t each = roundUp(ceilDiv(panels, tasks), kPanelsAtOnce);
  context.pool.parallel(ceilDiv(panels, each), [&](size_t task, int) {
    const FlushDenormals mode;
    kernels.multiplyGroups({&product, &weight, x, stride, task * each, std::min((task + 1) * each, panels)});
  });
}

}  // namespace winnow
