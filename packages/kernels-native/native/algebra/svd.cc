/**
 * Rayleigh-Ritz on a subspace: with the rows of Q an orthonormal basis and B = A Q^T, an eigenvector w of B^T B gives s = sqrt(eigenvalue),
 * v = Q^T w and u = B w / s. For few values of a large matrix, Q spans a block Krylov space of A^T A, grown until the wanted values have settled
 * (C. Musco, C. Musco: Randomized Block Krylov Methods for Stronger and Faster Approximate Singular Value Decomposition, NeurIPS 2015, algorithm 2,
 * with full orthogonalisation). Otherwise Q is the identity.
 */
#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "algebra/algebra.h"
#include "algebra/eigen.h"
#include "algebra/kernels.h"
#include "algebra/product.h"

namespace winnow {
namespace {

/** Dimensions beyond the rank that make up a gap behind the wanted values. */
constexpr size_t kOversampling = 8;
/** Narrow blocks need the fewest dimensions, wide ones read the matrix less often. */
constexpr size_t kWidestBlock = 48;
/** A space of less than this many times the wanted dimensions hardly ever suffices. */
constexpr size_t kLeastFactor = 4;
/** Bound on the relative error of an eigenvalue, twice that of the singular value. */
constexpr double kSettled = 1e-6;
/** Singular values of at most this part of the first are rounding errors of a float32 matrix. */
constexpr double kNegligible = 0x1p-23;
/** What is left of a vector after projection, relative to before, when it depends on the others. */
constexpr double kDependent = 1e-12;

using Rows = std::vector<double>;

/** `a` with at least as many rows as columns, and its transpose. */
struct Matrix {
  const float* a;
  const float* transposed;
  size_t rows, columns;
  /** Power of two that brings products of a with unit vectors near 1. */
  float scale;
};

std::vector<float> transpose(Context& context, const float* a, size_t rows, size_t columns) {
  constexpr size_t kSide = 32;
  std::vector<float> result(rows * columns);
  context.pool.parallel((columns + kSide - 1) / kSide, [&](size_t strip, int) {
    const size_t end = std::min(columns, (strip + 1) * kSide);
    for (size_t first = 0; first < rows; first += kSide)
      for (size_t c = strip * kSide; c < end; ++c)
        for (size_t r = first; r < std::min(rows, first + kSide); ++r) result[c * rows + r] = a[r * columns + c];
  });
  return result;
}

float scaleOf(const float* a, size_t count) {
  float largest = 0;
  for (size_t i = 0; i < count; ++i) largest = std::max(largest, std::fabs(a[i]));
  if (largest == 0) return 1;
  return std::ldexp(1.0f, std::clamp(-std::ilogb(largest), -100, 100));
}

/** Uniform numbers of a fixed sequence (a linear congruential generator modulo 2^64). */
class Sequence {
 public:
  double next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(state_ >> 11) * 0x1p-52 - 1;
  }
  void fill(double* row, size_t count) {
    for (size_t i = 0; i < count; ++i) row[i] = next();
  }

 private:
  uint64_t state_ = 1;
};

/** What Rayleigh-Ritz needs: Q and B^T as rows, and their Gram matrix. */
struct Space {
  size_t size = 0;
  /** `[size, columns]`; empty for the identity. */
  Rows basis;
  /** `[size, rows]`. */
  Rows images;
  /** `[size, size]`. */
  Rows gram;
};

/** Grows G = images images^T by the rows from `first` on. */
void extendGram(Context& context, Space& space, size_t first, size_t length) {
  const size_t size = space.size, count = size - first;
  Rows grown(size * size, 0.0);
  for (size_t i = 0; i < first; ++i) std::copy_n(&space.gram[i * first], first, &grown[i * size]);
  multiply<double>(context, {count, size, length, 1.0, &space.images[first * length], length, space.images.data(), length, true, &grown[first * size], size});
  for (size_t i = first; i < size; ++i)
    for (size_t j = 0; j < i; ++j) grown[j * size + i] = grown[i * size + j];
  space.gram = std::move(grown);
}

SymmetricEigen eigenOf(Context& context, const Space& space, size_t count) {
  Rows gram = space.gram;
  return symmetricEigen(context, gram.data(), space.size, count);
}

/** The whole space, in float64 throughout. */
Space wholeSpace(Context& context, const Matrix& m) {
  Space space;
  space.size = m.columns;
  space.images.resize(m.rows * m.columns);
  for (size_t i = 0; i < space.images.size(); ++i) space.images[i] = static_cast<double>(m.transposed[i]) * static_cast<double>(m.scale);
  extendGram(context, space, 0, m.rows);
  return space;
}

/** Rows of Q that are orthonormal to each other and to all before them. */
class Basis {
 public:
  Basis(Context& context, size_t length) : context_(context), kernels_(algebraKernels(context.isa)), length_(length) {}

  Rows rows;
  size_t size = 0;

  double* row(size_t i) { return &rows[i * length_]; }

  /** Room for `count` rows behind the last; `grow` makes them part of the basis. */
  double* extend(size_t count) {
    rows.resize((size + count) * length_, 0.0);
    return &rows[size * length_];
  }
  void fillRandom(size_t count) { sequence_.fill(extend(count), count * length_); }

  /** Takes from the `count` rows behind the last what lies in the basis. Twice is enough (Kahan). */
  void project(size_t count) {
    double* fresh = &rows[size * length_];
    lengths_.resize(count);
    for (size_t i = 0; i < count; ++i) lengths_[i] = norm(fresh + i * length_);
    if (size == 0) return;
    for (int pass = 0; pass < 2; ++pass) {
      Rows overlaps(count * size, 0.0);
      multiply<double>(context_, {count, size, length_, 1.0, fresh, length_, rows.data(), length_, true, overlaps.data(), size});
      multiply<double>(context_, {count, length_, size, -1.0, overlaps.data(), size, rows.data(), length_, false, fresh, length_});
    }
  }

  /** Makes `count` projected rows part of the basis. One that depends on the others gives way to a random one, so that the space keeps growing. */
  void grow(size_t count) {
    const size_t first = size;
    for (size_t i = 0; i < count; ++i, ++size) {
      if (orthogonalise(first, lengths_[i])) continue;
      do sequence_.fill(row(size), length_);
      while (!orthogonalise(0, norm(row(size))));
    }
  }

 private:
  double norm(const double* x) const { return std::sqrt(kernels_.dot(x, x, length_)); }

  /** Projects row `size` off the rows from `first` on and normalises it; false if too little of it is left. */
  bool orthogonalise(size_t first, double before) {
    double* x = row(size);
    for (int pass = 0; pass < 2; ++pass)
      for (size_t i = first; i < size; ++i) kernels_.subtract(x, kernels_.dot(x, row(i), length_), row(i), length_);
    const double left = norm(x);
    if (!(left > kDependent * before)) return false;
    for (size_t i = 0; i < length_; ++i) x[i] /= left;
    return true;
  }

  Context& context_;
  const AlgebraKernels& kernels_;
  const size_t length_;
  /** Of the rows that were projected last, before that. */
  std::vector<double> lengths_;
  Sequence sequence_;
};

std::vector<float> scaled(const double* from, size_t count, float scale) {
  std::vector<float> result(count);
  for (size_t i = 0; i < count; ++i) result[i] = static_cast<float>(from[i] * static_cast<double>(scale));
  return result;
}

/** `rows` rows of `to` become the columns of x `[length, rows]`. */
void columnsToRows(const std::vector<float>& x, size_t length, size_t rows, double* to) {
  for (size_t i = 0; i < length; ++i)
    for (size_t r = 0; r < rows; ++r) to[r * length + i] = static_cast<double>(x[i * rows + r]);
}

/**
 * Whether the `rank` largest eigenvalues have settled: their residuals, from what the last block leaves outside of the space, are small, and they are
 * those of the last check. The latter finds values that occur more often than a block is wide: a space that has become invariant goes on with random
 * vectors, which bring in the others.
 */
bool settled(const SymmetricEigen& eigen, const Rows& before, size_t rank, size_t size, size_t block, const Rows& outside) {
  if (before.empty()) return false;
  const double next = eigen.values[std::min(size - 1, rank + kOversampling)];
  for (size_t i = 0; i < rank; ++i) {
    const double* w = &eigen.vectors[i * size + size - block];
    double squared = 0;
    for (size_t r = 0; r < block; ++r)
      for (size_t c = 0; c < block; ++c) squared += w[r] * outside[r * block + c] * w[c];
    const double residual = std::sqrt(std::max(squared, 0.0)), value = eigen.values[i];
    if (value <= kNegligible * kNegligible * eigen.values[0]) break;
    if (value - before[i] > kSettled * value) return false;
    // |error| <= residual, and <= residual^2 / gap.
    if (residual * std::min(1.0, residual / std::max(value - next, 1e-300)) > kSettled * value) return false;
  }
  return true;
}

/** Nothing if half of the dimensions do not suffice: then the whole space costs no more. */
std::optional<std::pair<Space, SymmetricEigen>> krylovSpace(Context& context, const Matrix& m, size_t rank, size_t block) {
  Space space;
  Basis basis(context, m.columns);
  basis.fillRandom(block);
  basis.project(block);
  basis.grow(block);
  Rows before;
  for (size_t nextCheck = std::max(3 * block, 2 * rank); space.size + block <= m.columns / 2;) {
    const size_t first = space.size;
    space.size += block;
    const std::vector<float> directions = scaled(basis.row(first), block * m.columns, m.scale);
    std::vector<float> images(m.rows * block, 0.0f), next(m.columns * block, 0.0f);
    multiply<float>(context, {m.rows, block, m.columns, 1.0f, m.a, m.columns, directions.data(), m.columns, true, images.data(), block});
    space.images.resize(space.size * m.rows);
    columnsToRows(images, m.rows, block, &space.images[first * m.rows]);
    extendGram(context, space, first, m.rows);

    for (float& x : images) x *= m.scale;
    multiply<float>(context, {m.columns, block, m.rows, 1.0f, m.transposed, m.rows, images.data(), block, false, next.data(), block});
    double* outside = basis.extend(block);
    columnsToRows(next, m.columns, block, outside);
    basis.project(block);
    if (space.size >= nextCheck) {
      nextCheck = space.size + std::max(block, space.size / 4);
      Rows residuals(block * block, 0.0);
      multiply<double>(context, {block, block, m.columns, 1.0, outside, m.columns, outside, m.columns, true, residuals.data(), block});
      SymmetricEigen eigen = eigenOf(context, space, rank);
      if (settled(eigen, before, rank, space.size, block, residuals)) {
        space.basis = std::move(basis.rows);
        return std::make_pair(std::move(space), std::move(eigen));
      }
      before = std::move(eigen.values);
    }
    basis.grow(block);
  }
  return std::nullopt;
}

/** `[count, length]`: combinations of the rows of the space. */
Rows combine(Context& context, const Rows& weights, size_t count, size_t size, const Rows& rows, size_t length) {
  if (rows.empty()) return weights;
  Rows result(count * length, 0.0);
  multiply<double>(context, {count, length, size, 1.0, weights.data(), size, rows.data(), length, false, result.data(), length});
  return result;
}

/** Column `column` of `[length, rank]`; zeros are positive. */
void storeColumn(const double* x, double factor, size_t length, size_t rank, size_t column, float* out) {
  for (size_t i = 0; i < length; ++i) out[i * rank + column] = static_cast<float>(x[i] * factor) + 0.0f;
}

double largestEntry(const double* x, size_t count) {
  double largest = 0;
  for (size_t i = 0; i < count; ++i)
    if (std::fabs(x[i]) > std::fabs(largest)) largest = x[i];
  return largest;
}

/** `tall` and `wide` are the factors on the sides of rows and columns of `m`. */
void store(Context& context, const Matrix& m, const Space& space, const SymmetricEigen& eigen, const SvdTask& task) {
  const Rows right = combine(context, eigen.vectors, task.rank, space.size, space.basis, m.columns);
  const Rows left = combine(context, eigen.vectors, task.rank, space.size, space.images, m.rows);
  const bool flipped = task.rows < task.columns;
  float* const leftOut = flipped ? task.v : task.u;
  float* const rightOut = flipped ? task.u : task.v;
  const double largest = std::sqrt(std::max(eigen.values[0], 0.0));
  for (size_t i = 0; i < task.rank; ++i) {
    const double s = std::sqrt(std::max(eigen.values[i], 0.0));
    const bool counts = s > kNegligible * largest;
    const double* l = &left[i * m.rows];
    const double* r = &right[i * m.columns];
    const double peak = flipped ? largestEntry(r, m.columns) : largestEntry(l, m.rows);
    const double sign = !counts ? 0 : peak < 0 ? -1 : 1;
    task.s[i] = counts ? static_cast<float>(s / static_cast<double>(m.scale)) : 0;
    storeColumn(l, counts ? sign / s : 0, m.rows, task.rank, i, leftOut);
    storeColumn(r, sign, m.columns, task.rank, i, rightOut);
  }
}

}  // namespace

void truncatedSvd(Context& context, const SvdTask& task) {
  if (task.rank == 0) return;
  const std::vector<float> transposed = transpose(context, task.a, task.rows, task.columns);
  Matrix m{task.a, transposed.data(), task.rows, task.columns, scaleOf(task.a, task.rows * task.columns)};
  if (task.rows < task.columns) m = {transposed.data(), task.a, task.columns, task.rows, m.scale};
  const size_t wanted = (task.rank + kOversampling + 7) / 8 * 8, block = std::min(wanted, kWidestBlock);
  if (2 * kLeastFactor * wanted <= m.columns) {
    if (const auto found = krylovSpace(context, m, task.rank, block)) return store(context, m, found->first, found->second, task);
  }
  const Space space = wholeSpace(context, m);
  store(context, m, space, eigenOf(context, space, task.rank), task);
}

}  // namespace winnow
