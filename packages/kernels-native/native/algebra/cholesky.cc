/**
 * With J the reversal of order: J (H + damping I) J = L L^T gives H + damping I = R R^T with R = J L J upper triangular, so U = R^-1 = J L^-1 J is
 * upper triangular too and U^T U = (R R^T)^-1. One Cholesky factorisation and one triangular inversion, both in place and nearly all of it products.
 */
#include <algorithm>
#include <cmath>

#include "algebra/algebra.h"
#include "algebra/product.h"

namespace winnow {
namespace {

/** Side of the blocks that are factored one element at a time. */
constexpr size_t kBlock = 128;
/** Columns that share a first step: rows of b above them are zeros and left out. */
constexpr size_t kColumns = 512;
/** Rounding error of a pivot, relative to the diagonal of H and per row. */
constexpr double kRoundoff = 0x1p-52;

/** Lower triangle, `[n, n]`, zeros above the diagonal; the blocks on the diagonal end up as the inverses of those of L. */
struct Lower {
  double* data;
  size_t n;

  double* at(size_t row, size_t column) const { return data + row * n + column; }
};

void fillReversed(Context& context, const float* h, double damping, const Lower& l) {
  context.pool.parallel(l.n, [&](size_t row, int) {
    const float* from = h + (l.n - 1 - row) * l.n + (l.n - 1);
    double* to = l.at(row, 0);
    for (size_t column = 0; column <= row; ++column) to[column] = static_cast<double>(*(from - column));
    to[row] += damping;
    std::fill(to + row + 1, to + l.n, 0.0);
  });
}

/** Cholesky of one block on the diagonal; returns the first row without a positive pivot, or `size`. */
size_t factorBlock(const Lower& l, size_t begin, size_t size, const double* diagonal) {
  for (size_t j = 0; j < size; ++j) {
    double* row = l.at(begin + j, begin);
    for (size_t i = 0; i < j; ++i) {
      const double* other = l.at(begin + i, begin);
      double sum = row[i];
      for (size_t t = 0; t < i; ++t) sum -= row[t] * other[t];
      row[i] = sum / other[i];
    }
    double pivot = row[j];
    for (size_t t = 0; t < j; ++t) pivot -= row[t] * row[t];
    if (!(pivot > kRoundoff * static_cast<double>(l.n) * diagonal[j]) || !std::isfinite(pivot)) return j;
    row[j] = std::sqrt(pivot);
  }
  return size;
}

/** Row i of the inverse is (e_i - sum over t < i of L[i, t] * row t of the inverse) / L[i, i]. */
void invertBlock(const Lower& l, size_t begin, size_t size) {
  double sums[kBlock];
  for (size_t i = 0; i < size; ++i) {
    double* row = l.at(begin + i, begin);
    std::fill_n(sums, size, 0.0);
    for (size_t t = 0; t < i; ++t) {
      const double* other = l.at(begin + t, begin);
      for (size_t j = 0; j <= t; ++j) sums[j] += row[t] * other[j];
    }
    const double inverse = 1 / row[i];
    for (size_t j = 0; j < i; ++j) row[j] = (0 - sums[j]) * inverse;
    row[i] = inverse;
  }
}

/** Moves a rectangle of L into contiguous scratch memory and leaves zeros, so that a product of it can be added in its place. */
const double* take(Context& context, const Lower& l, size_t row, size_t rows, size_t column, size_t columns) {
  double* moved = context.partials.reserve<double>(rows * columns);
  context.pool.parallel(rows, [&](size_t r, int) {
    double* from = l.at(row + r, column);
    std::copy_n(from, columns, moved + r * columns);
    std::fill_n(from, columns, 0.0);
  });
  return moved;
}

/** Returns the row without a positive pivot, or n. Block columns from left to right, each after all products with those on its left. */
size_t factor(Context& context, const Lower& l) {
  double diagonal[kBlock];
  for (size_t begin = 0; begin < l.n; begin += kBlock) {
    const size_t size = std::min(kBlock, l.n - begin), below = begin + size;
    for (size_t j = 0; j < size; ++j) diagonal[j] = *l.at(begin + j, begin + j);
    multiply<double>(context, {l.n - begin, size, begin, -1.0, l.at(begin, 0), l.n, l.at(begin, 0), l.n, true, l.at(begin, begin), l.n});
    for (size_t j = 0; j < size; ++j) std::fill(l.at(begin + j, begin + j + 1), l.at(begin + j, begin) + size, 0.0);
    const size_t bad = factorBlock(l, begin, size, diagonal);
    if (bad < size) return begin + bad;
    invertBlock(l, begin, size);
    if (below == l.n) break;
    const double* panel = take(context, l, below, l.n - below, begin, size);
    multiply<double>(context, {l.n - below, size, size, 1.0, panel, size, l.at(begin, begin), l.n, true, l.at(below, begin), l.n});
  }
  return l.n;
}

/** Block row i of the inverse N is -N[i, i] * (L[i, :i] N[:i, :i]). */
void invert(Context& context, const Lower& l) {
  for (size_t begin = kBlock; begin < l.n; begin += kBlock) {
    const size_t size = std::min(kBlock, l.n - begin);
    const double* factors = take(context, l, begin, size, 0, begin);
    for (size_t column = 0; column < begin; column += kColumns) {
      const size_t columns = std::min(kColumns, begin - column);
      multiply<double>(context, {size, columns, begin - column, 1.0, factors + column, begin, l.at(column, column), l.n, false,
                                 l.at(begin, column), l.n});
    }
    const double* sums = take(context, l, begin, size, 0, begin);
    multiply<double>(context, {size, begin, size, -1.0, l.at(begin, begin), l.n, sums, begin, false, l.at(begin, 0), l.n});
  }
}

}  // namespace

ptrdiff_t inverseCholesky(Context& context, const float* h, size_t n, double damping, float* out) {
  AlignedBuffer work;
  const Lower l{work.reserve<double>(n * n), n};
  fillReversed(context, h, damping, l);
  const size_t bad = factor(context, l);
  if (bad < n) return static_cast<ptrdiff_t>(n - 1 - bad);
  invert(context, l);
  context.pool.parallel(n, [&](size_t row, int) {
    float* to = out + row * n;
    const double* from = l.at(n - 1 - row, n - 1);
    for (size_t column = 0; column < n; ++column) to[column] = static_cast<float>(*(from - column));
  });
  return -1;
}

}  // namespace winnow
