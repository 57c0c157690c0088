#pragma once

#include "linear/linear.h"

namespace winnow {

/** A rectangle of the product: some rows times some panels. */
struct LinearBlock {
  const LinearTask* task;
  /** `[rows, xStride]` in the weight's type. */
  const void* x;
  size_t xStride;
  size_t rowBegin, rowEnd;
  size_t panelBegin, panelEnd;
};

/** Panel `panel` of a weight; `rows` is room for 16 rows of the target type, each a multiple of 32 elements long. */
struct PackBlock {
  const PackWeightTask* task;
  size_t panel;
  void* rows;
  size_t rowStride;
};

struct LinearKernels {
  void (*multiplyBlock)(const LinearBlock&);
  void (*roundRows)(const float* x, size_t rows, size_t width, uint16_t* rounded, size_t stride);
  void (*packPanel)(const PackBlock&);
};

namespace generic {
extern const LinearKernels linearKernels;
}
namespace avx2 {
extern const LinearKernels linearKernels;
}
namespace avx512 {
extern const LinearKernels linearKernels;
}

const LinearKernels& linearKernelsOf(Isa isa);

}  // namespace winnow
