#include "algebra/eigen.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "algebra/kernels.h"

namespace winnow {
namespace {

constexpr size_t kRowsPerTask = 16;
/** Columns of the vectors that a task rotates: with some hundred rows they stay in a second-level cache. */
constexpr size_t kColumnsPerTask = 64;
/** Per eigenvalue; two are usual. */
constexpr int kMostSweeps = 60;

size_t ceilDiv(size_t a, size_t b) { return (a + b - 1) / b; }

/** T = Q^T A Q with Q = H_0 H_1 ..., H_k = I - scales[k] v v^T; the v of step k stays in row k of A, right of the diagonal. */
struct Tridiagonal {
  std::vector<double> diagonal, beside, scales;
};

/** Turns x into the v that maps it to (result, 0, 0, ...); `scale` 0 where x has this form already. */
double reflect(double* x, size_t count, double& scale) {
  double rest = 0, largest = 0;
  for (size_t i = 0; i < count; ++i) largest = std::max(largest, std::fabs(x[i]));
  scale = 0;
  if (largest == 0) return 0;
  for (size_t i = 1; i < count; ++i) rest += (x[i] / largest) * (x[i] / largest);
  if (rest == 0) return x[0];
  const double first = x[0] / largest, norm = std::sqrt(first * first + rest);
  const double head = first > 0 ? first + norm : first - norm;
  for (size_t i = 0; i < count; ++i) x[i] /= largest;
  x[0] = head;
  scale = 2 / (head * head + rest);
  return (first > 0 ? -norm : norm) * largest;
}

/** The update of step k waits until the pass of step k + 1, so that each step reads the matrix once. */
Tridiagonal reduce(Context& context, double* a, size_t n) {
  const AlgebraKernels& kernels = algebraKernels(context.isa);
  Tridiagonal t{std::vector<double>(n), std::vector<double>(n), std::vector<double>(n)};
  std::vector<double> v(n), w(n), product(n);
  for (size_t k = 0; k < n; ++k) {
    double* row = a + k * n;
    if (k > 0) kernels.subtractTwo(row + k, v[k], &w[k], w[k], &v[k], n - k);
    t.diagonal[k] = row[k];
    if (k + 1 == n) break;
    const size_t next = k + 1, count = n - next;
    double scale = 0;
    t.beside[k] = reflect(row + next, count, scale);
    t.scales[k] = scale;
    context.pool.parallel(ceilDiv(count, kRowsPerTask), [&](size_t task, int) {
      const size_t end = std::min(n, next + (task + 1) * kRowsPerTask);
      for (size_t i = next + task * kRowsPerTask; i < end; ++i) {
        double* other = a + i * n + next;
        if (k > 0) kernels.subtractTwo(other, v[i], &w[next], w[i], &v[next], count);
        product[i] = scale * kernels.dot(other, row + next, count);
      }
    });
    const double overlap = scale / 2 * kernels.dot(&product[next], row + next, count);
    for (size_t i = next; i < n; ++i) {
      v[i] = row[i];
      w[i] = product[i] - overlap * v[i];
    }
  }
  return t;
}

double withSign(double magnitude, double sign) { return sign < 0 ? -magnitude : magnitude; }

/** One implicit QL step on rows first..last of the tridiagonal matrix, with Wilkinson's shift; the rotations that it applied, in turn. */
void sweep(Tridiagonal& t, size_t first, size_t last, std::vector<Rotation>& rotations) {
  std::vector<double>&d = t.diagonal, &e = t.beside;
  const double slope = (d[first + 1] - d[first]) / (2 * e[first]);
  const double shift = d[first] - e[first] / (slope + withSign(std::sqrt(slope * slope + 1), slope));
  double chased = d[last] - shift, sine = 1, cosine = 1, carried = 0;
  rotations.clear();
  for (size_t i = last; i-- > first;) {
    const double bulge = sine * e[i], beside = cosine * e[i];
    const double length = std::sqrt(bulge * bulge + chased * chased);
    e[i + 1] = length;
    if (length == 0) {
      // The matrix falls apart here; the next sweep finds the smaller piece.
      d[i + 1] -= carried;
      e[last] = 0;
      return;
    }
    sine = bulge / length;
    cosine = chased / length;
    const double corner = d[i + 1] - carried;
    const double turned = (d[i] - corner) * sine + 2 * cosine * beside;
    carried = sine * turned;
    d[i + 1] = corner + carried;
    chased = cosine * turned - beside;
    rotations.push_back({i, cosine, sine});
  }
  d[first] -= carried;
  e[first] = chased;
  e[last] = 0;
}

/** Last row of the piece that starts at `first`: the element beside it is negligible. */
size_t endOfPiece(const Tridiagonal& t, size_t first) {
  constexpr double kRoundoff = std::numeric_limits<double>::epsilon();
  size_t last = first;
  while (last + 1 < t.diagonal.size() &&
         std::fabs(t.beside[last]) > kRoundoff * (std::fabs(t.diagonal[last]) + std::fabs(t.diagonal[last + 1])))
    ++last;
  return last;
}

/** Diagonalises T; row i of `z` (identity before) becomes the eigenvector of diagonal[i]. */
void diagonalise(Context& context, Tridiagonal& t, double* z) {
  const AlgebraKernels& kernels = algebraKernels(context.isa);
  const size_t n = t.diagonal.size();
  std::vector<Rotation> rotations;
  for (size_t first = 0; first < n; ++first) {
    for (int sweeps = 0; sweeps < kMostSweeps; ++sweeps) {
      const size_t last = endOfPiece(t, first);
      if (last == first) break;
      sweep(t, first, last, rotations);
      context.pool.parallel(ceilDiv(n, kColumnsPerTask), [&](size_t strip, int) {
        const size_t column = strip * kColumnsPerTask;
        kernels.rotate(z + column, n, std::min(kColumnsPerTask, n - column), rotations.data(), rotations.size());
      });
    }
  }
}

/** Eigenvectors of A from those of T: z = H_0 (H_1 (... z)). */
void transformBack(Context& context, const double* a, const Tridiagonal& t, double* vectors, size_t count) {
  const AlgebraKernels& kernels = algebraKernels(context.isa);
  const size_t n = t.diagonal.size();
  context.pool.parallel(ceilDiv(count, kRowsPerTask), [&](size_t task, int) {
    const size_t begin = task * kRowsPerTask, end = std::min(count, begin + kRowsPerTask);
    for (size_t k = n - 1; k-- > 0;) {
      if (t.scales[k] == 0) continue;
      const double* v = a + k * n + k + 1;
      for (size_t i = begin; i < end; ++i) {
        double* z = vectors + i * n + k + 1;
        kernels.subtract(z, t.scales[k] * kernels.dot(z, v, n - k - 1), v, n - k - 1);
      }
    }
  });
}

}  // namespace

SymmetricEigen symmetricEigen(Context& context, double* matrix, size_t n, size_t count) {
  SymmetricEigen result;
  if (n == 0) return result;
  Tridiagonal t = reduce(context, matrix, n);
  std::vector<double> z(n * n, 0.0);
  for (size_t i = 0; i < n; ++i) z[i * n + i] = 1;
  diagonalise(context, t, z.data());

  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t i, size_t j) { return t.diagonal[i] > t.diagonal[j]; });
  result.vectors.resize(count * n);
  for (size_t i = 0; i < n; ++i) result.values.push_back(t.diagonal[order[i]]);
  for (size_t i = 0; i < count; ++i) std::copy_n(z.data() + order[i] * n, n, result.vectors.data() + i * n);
  transformBack(context, matrix, t, result.vectors.data(), count);
  return result;
}

}  // namespace winnow
