#include <algorithm>

#include "algebra/algebra.h"
#include "algebra/kernels.h"
#include "algebra/product.h"

namespace winnow {
namespace {

/** Rows of x that are packed at a time. */
constexpr size_t kRows = 512;
/** A panel holds 16 columns of x, so one packed copy serves as both factors; tiles are this many panels high and wide. */
constexpr size_t kPanelsHigh = 6, kPanelsWide = 16, kLanes = kLanesOf<float>;

size_t ceilDiv(size_t a, size_t b) { return (a + b - 1) / b; }

/** Tiles that touch the upper triangle. */
void addUpper(Context& context, const float* panels, size_t rows, size_t width, float* gram) {
  const AlgebraKernels& kernels = algebraKernels(context.isa);
  constexpr size_t kHigh = kPanelsHigh * kLanes, kWide = kPanelsWide * kLanes;
  const size_t high = ceilDiv(width, kHigh);
  context.pool.parallel(high * ceilDiv(width, kWide), [&](size_t task, int) {
    const size_t row = task % high * kHigh, column = task / high * kWide;
    const size_t columns = std::min(kWide, width - column);
    if (column + columns <= row) return;
    kernels.multiplyF32({panels + row * rows, std::min(kHigh, width - row), kLanes, rows * kLanes, 1, kLanes, panels + column * rows, columns, rows,
                         1.0f, gram + row * width + column, width});
  });
}

/** Square tiles, so that neither side of the copy leaves the cache. */
void mirrorUpper(Context& context, size_t width, float* gram) {
  constexpr size_t kSide = 64;
  context.pool.parallel(ceilDiv(width, kSide), [&](size_t tile, int) {
    const size_t begin = tile * kSide, end = std::min(width, begin + kSide);
    for (size_t from = 0; from < end; from += kSide)
      for (size_t i = begin; i < end; ++i)
        for (size_t j = from; j < std::min(i, from + kSide); ++j) gram[i * width + j] = gram[j * width + i];
  });
}

}  // namespace

void accumulateGram(Context& context, const float* x, size_t rows, size_t width, float* gram) {
  for (size_t row = 0; row < rows; row += kRows) {
    const size_t count = std::min(kRows, rows - row);
    const float* panels = packPanels<float>(context, {x + row * width, width, false, width, count});
    addUpper(context, panels, count, width, gram);
  }
  if (rows > 0) mirrorUpper(context, width, gram);
}

void multiplyAdd(Context& context, const MultiplyTask& t) {
  multiply<float>(context, {t.m, t.n, t.k, t.alpha, t.a, t.strideA, t.b, t.strideB, false, t.c, t.strideC});
}

}  // namespace winnow
