#pragma once

#include <cstddef>
#include <vector>

#include "base/context.h"

namespace winnow {

struct SymmetricEigen {
  /** Descending. */
  std::vector<double> values;
  /** `[count, n]`: an orthonormal eigenvector of each of the first `count` values. */
  std::vector<double> vectors;
};

/** All eigenvalues and the first `count` eigenvectors of a symmetric `[n, n]`, which is overwritten. Householder reduction and implicit QL; O(n^3). */
SymmetricEigen symmetricEigen(Context& context, double* matrix, size_t n, size_t count);

}  // namespace winnow
