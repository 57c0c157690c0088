#include "algebra/product.h"

#include <algorithm>
#include <type_traits>

#include "algebra/kernels.h"

namespace winnow {
namespace {

/** Depth of b that is packed at a time, and its columns: together at most 16 MiB. */
constexpr size_t kPackedDepth = 512;
constexpr size_t kPackedBytes = size_t{16} << 20;
/** A task's part of c, with its parts of a and b, fits a second-level cache. */
constexpr size_t kRowsPerTask = 96;
constexpr size_t kPanelsPerTask = 16;
constexpr size_t kPanelsPerPack = 8;

size_t ceilDiv(size_t a, size_t b) { return (a + b - 1) / b; }

template <class T>
void packPanel(const PanelSource<T>& source, size_t panel, T* to) {
  constexpr size_t kLanes = kLanesOf<T>;
  const size_t first = panel * kLanes, lanes = std::min(kLanes, source.columns - first);
  if (lanes < kLanes) std::fill_n(to, source.depth * kLanes, T{0});
  if (source.transposed) {
    for (size_t lane = 0; lane < lanes; ++lane)
      for (size_t step = 0; step < source.depth; ++step) to[step * kLanes + lane] = source.b[(first + lane) * source.strideB + step];
  } else {
    for (size_t step = 0; step < source.depth; ++step) std::copy_n(source.b + step * source.strideB + first, lanes, to + step * kLanes);
  }
}

template <class T>
void multiplyBlock(const AlgebraKernels& kernels, const ProductBlock<T>& block) {
  if constexpr (std::is_same_v<T, float>) {
    kernels.multiplyF32(block);
  } else {
    kernels.multiplyF64(block);
  }
}

/** The part of a product with one packed piece of b. */
template <class T>
void multiplyPacked(Context& context, const Product<T>& p, const T* panels) {
  const AlgebraKernels& kernels = algebraKernels(context.isa);
  constexpr size_t kColumnsPerTask = kPanelsPerTask * kLanesOf<T>;
  const size_t rowTasks = ceilDiv(p.m, kRowsPerTask);
  context.pool.parallel(rowTasks * ceilDiv(p.n, kColumnsPerTask), [&](size_t task, int) {
    const size_t row = task % rowTasks * kRowsPerTask, column = task / rowTasks * kColumnsPerTask;
    const size_t rows = std::min(kRowsPerTask, p.m - row);
    multiplyBlock(kernels, ProductBlock<T>{p.a + row * p.strideA, rows, rows, 0, p.strideA, 1, panels + column * p.k,
                                           std::min(kColumnsPerTask, p.n - column), p.k, p.alpha, p.c + row * p.strideC + column, p.strideC});
  });
}

}  // namespace

template <class T>
const T* packPanels(Context& context, const PanelSource<T>& source) {
  const size_t panels = ceilDiv(source.columns, kLanesOf<T>);
  T* packed = context.values.reserve<T>(panels * source.depth * kLanesOf<T>);
  context.pool.parallel(ceilDiv(panels, kPanelsPerPack), [&](size_t task, int) {
    const size_t end = std::min(panels, (task + 1) * kPanelsPerPack);
    for (size_t panel = task * kPanelsPerPack; panel < end; ++panel) packPanel(source, panel, packed + panel * source.depth * kLanesOf<T>);
  });
  return packed;
}

template <class T>
void multiply(Context& context, const Product<T>& product) {
  constexpr size_t kPackedColumns = kPackedBytes / (kPackedDepth * sizeof(T));
  for (size_t column = 0; column < product.n; column += kPackedColumns)
    for (size_t step = 0; step < product.k; step += kPackedDepth) {
      Product<T> part = product;
      part.n = std::min(kPackedColumns, product.n - column);
      part.k = std::min(kPackedDepth, product.k - step);
      part.a += step;
      part.b += product.bTransposed ? column * product.strideB + step : step * product.strideB + column;
      part.c += column;
      multiplyPacked(context, part, packPanels(context, PanelSource<T>{part.b, part.strideB, part.bTransposed, part.n, part.k}));
    }
}

template const float* packPanels(Context&, const PanelSource<float>&);
template const double* packPanels(Context&, const PanelSource<double>&);
template void multiply(Context&, const Product<float>&);
template void multiply(Context&, const Product<double>&);

}  // namespace winnow
