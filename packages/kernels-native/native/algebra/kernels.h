#pragma once

#include <cstddef>

#include "base/cpu_features.h"

namespace winnow {

/** Terms of a product that are summed in registers before the sum is scaled and added to c. */
constexpr size_t kProductDepth = 128;

/** Elements of T in a 64-byte vector. */
template <class T>
constexpr size_t kLanesOf = 64 / sizeof(T);

/** c += alpha * a * b over some rows and panels. Row r of a stands at a + r / groupRows * groupStride + r % groupRows * rowStride. */
template <class T>
struct ProductBlock {
  const T* a;
  size_t rows;
  size_t groupRows, groupStride;
  size_t rowStride, stepStride;
  /** `[panels][depth][lanes]`, zeros behind the last column. */
  const T* b;
  size_t columns;
  size_t depth;
  T alpha;
  T* c;
  size_t strideC;
};

/** Plane rotation of rows `row` and `row + 1`. */
struct Rotation {
  size_t row;
  double cosine, sine;
};

/** Inner loops: one source, `kernels.inc`, compiled for each instruction set. Same bits from each. */
struct AlgebraKernels {
  void (*multiplyF32)(const ProductBlock<float>&);
  void (*multiplyF64)(const ProductBlock<double>&);
  double (*dot)(const double* x, const double* y, size_t count);
  /** y -= scale * x. */
  void (*subtract)(double* y, double scale, const double* x, size_t count);
  /** row -= a * v + b * w. */
  void (*subtractTwo)(double* row, double a, const double* v, double b, const double* w, size_t count);
  /** Rotations in turn, on columns [0, columns) of rows `stride` apart. */
  void (*rotate)(double* rows, size_t stride, size_t columns, const Rotation* rotations, size_t count);
};

const AlgebraKernels& algebraKernels(Isa isa);

}  // namespace winnow
