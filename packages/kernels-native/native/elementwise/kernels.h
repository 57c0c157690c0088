#pragma once

#include <cstddef>

#include "base/cpu_features.h"

namespace winnow {

/** Inner loops compiled for each instruction set from `kernels.inc`. Same bits from each. */
struct ElementwiseKernels {
  void (*rmsNormRow)(const float* x, size_t width, const float* weight, double epsilon, float* out);
  /** `half` pairs (low[c], high[c]). */
  void (*rotate)(float* low, float* high, const float* cosine, const float* sine, size_t half);
  void (*gatedSilu)(float* gate, const float* up, size_t count);
  void (*gatedGeluTanh)(float* gate, const float* up, size_t count);
  void (*gatedRelu)(float* gate, const float* up, size_t count);
};

const ElementwiseKernels& elementwiseKernels(Isa isa);

}  // namespace winnow
