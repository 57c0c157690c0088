#pragma once

#include <cstddef>
#include <vector>

#include "base/context.h"

namespace winnow {

/**
 * Heavy steps of pruning; see `LinearAlgebra` of @winnow/core for the mathematics. Matrices are row-major. Sums have a fixed order and work a fixed
 * split, so that results do not depend on the threads or the instruction set. Inputs must be finite.
 */

/** `gram += x^T x`, both triangles from the upper one; x `[rows, width]`, gram `[width, width]`. Float32 sums over 128 rows, added to gram one by one. */
void accumulateGram(Context& context, const float* x, size_t rows, size_t width, float* gram);

/**
 * The upper triangular U, `[n, n]` in `out`, with (h + damping I)^-1 = U^T U; reads the upper triangle of h. Needs n * n doubles of memory.
 * Returns -1, or the column of h whose pivot is not positive beyond rounding, which is n * 2^-52 of the diagonal (then `out` is untouched).
 * `out` may be h.
 */
ptrdiff_t inverseCholesky(Context& context, const float* h, size_t n, double damping, float* out);

struct SvdTask {
  /** `[rows, columns]`. */
  const float* a;
  size_t rows;
  size_t columns;
  /** At most min(rows, columns). */
  size_t rank;
  /** `[rows, rank]`, `[rank]`, `[columns, rank]`. */
  float* u;
  float* s;
  float* v;
};

/** Largest singular values, descending; those of at most 2^-23 of the first count as zero, with zero vectors. */
void truncatedSvd(Context& context, const SvdTask& task);

/** `c += alpha * a b`: float32 sums over 128 terms, scaled and added to c one by one. c must not overlap a or b. */
struct MultiplyTask {
  size_t m, n, k;
  float alpha;
  const float* a;
  size_t strideA;
  const float* b;
  size_t strideB;
  float* c;
  size_t strideC;
};

void multiplyAdd(Context& context, const MultiplyTask& task);

/** L2 norm of each column, sums in float64 over ascending rows. */
void columnNorms(Context& context, const float* x, size_t rows, size_t columns, float* out);

/** Place (row * columns + column) of the first NaN or infinity of `[rows, columns]` with rows `stride` apart, or -1. */
ptrdiff_t firstNonFinite(Context& context, const float* x, size_t rows, size_t columns, size_t stride);

}  // namespace winnow
