#include "elementwise/elementwise.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "cache/bf16.h"
#include "elementwise/kernels.h"

namespace winnow {
namespace {

/** Elements per task: below that, waking a thread costs more than it saves. */
constexpr size_t kElementsPerTask = 16384;

/** Runs `fn(begin, end)` over [0, count) in equal pieces of about kElementsPerTask elements; the split depends on sizes alone. */
template <class Fn>
void overRows(Context& context, size_t count, size_t elementsPerRow, const Fn& fn) {
  const size_t rows = std::max<size_t>(1, kElementsPerTask / std::max<size_t>(1, elementsPerRow));
  context.pool.parallel((count + rows - 1) / rows, [&](size_t task, int) { fn(task * rows, std::min(count, (task + 1) * rows)); });
}

void widenRow(Dtype dtype, const void* table, size_t at, size_t width, float* out) {
  if (dtype == Dtype::f32) {
    std::memcpy(out, static_cast<const float*>(table) + at, width * sizeof(float));
    return;
  }
  const uint16_t* bits = static_cast<const uint16_t*>(table) + at;
  for (size_t c = 0; c < width; ++c) out[c] = fromBf16(bits[c]);
}

/** erfc, since 1 + erf(x) cancels for negative x. The C library's, hence the same on every instruction set. */
void gatedGelu(float* gate, const float* up, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const double x = gate[i];
    gate[i] = static_cast<float>(0.5 * x * std::erfc(-x * 0.70710678118654752440)) * up[i];
  }
}

using GatedKernel = void (*)(float* gate, const float* up, size_t count);

GatedKernel gatedKernel(const ElementwiseKernels& kernels, Activation activation) {
  switch (activation) {
    case Activation::silu: return kernels.gatedSilu;
    case Activation::geluTanh: return kernels.gatedGeluTanh;
    case Activation::relu: return kernels.gatedRelu;
    case Activation::gelu: break;
  }
  return gatedGelu;
}

}  // namespace

void embed(Context& context, const EmbedTask& task) {
  overRows(context, task.rows, task.width, [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) {
      widenRow(task.dtype, task.table, static_cast<size_t>(task.ids[r]) * task.width, task.width, task.out + r * task.width);
    }
  });
}

void rmsNorm(Context& context, const RmsNormTask& task) {
  const ElementwiseKernels& kernels = elementwiseKernels(context.isa);
  overRows(context, task.rows, task.width, [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) {
      kernels.rmsNormRow(task.x + r * task.width, task.width, task.weight, task.epsilon, task.out + r * task.width);
    }
  });
}

void rope(Context& context, const RopeTask& task) {
  const ElementwiseKernels& kernels = elementwiseKernels(context.isa);
  const HeadView<float>& x = task.x;
  const size_t half = x.headDim / 2;
  overRows(context, x.length, x.heads * x.headDim, [&](size_t begin, size_t end) {
    for (size_t token = begin; token < end; ++token) {
      const size_t angles = static_cast<size_t>(task.positions[token]) * half;
      for (size_t head = 0; head < x.heads; ++head) {
        float* low = x.data + head * x.headStride + token * x.tokenStride;
        kernels.rotate(low, low + half, task.cosine + angles, task.sine + angles, half);
      }
    }
  });
}

void gatedActivation(Context& context, float* gate, const float* up, size_t count, Activation activation) {
  const GatedKernel kernel = gatedKernel(elementwiseKernels(context.isa), activation);
  overRows(context, count, 1, [&](size_t begin, size_t end) { kernel(gate + begin, up + begin, end - begin); });
}

void add(Context& context, float* x, const float* y, size_t count) {
  overRows(context, count, 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) x[i] += y[i];
  });
}

}  // namespace winnow
