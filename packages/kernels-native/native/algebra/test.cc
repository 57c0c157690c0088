#include "algebra/algebra.h"

#include <algorithm>
#include <limits>

#include "algebra/eigen.h"
#include "base/test.h"

using namespace winnow;
using test::Checks;
using test::randomFloats;

namespace {

using Doubles = std::vector<double>;

/** Calls `run(context)` for every instruction set and 1, 2 and 3 threads; all must give the bits of the first, which is returned. */
template <class Run>
std::vector<float> everywhere(Checks& checks, const char* what, const Run& run) {
  std::vector<float> first;
  for (Isa isa : test::availableIsas())
    for (int threads : {1, 2, 3}) {
      Context context(threads, isa);
      const std::vector<float> result = run(context);
      if (first.empty()) first = result;
      checks.expectSameBits(result, first, what);
    }
  return first;
}

/** a^T b of `[k, m]` and `[k, n]`. */
Doubles transposedProduct(const std::vector<float>& a, const std::vector<float>& b, size_t k, size_t m, size_t n) {
  Doubles product(m * n, 0.0);
  for (size_t t = 0; t < k; ++t)
    for (size_t i = 0; i < m; ++i)
      for (size_t j = 0; j < n; ++j) product[i * n + j] += static_cast<double>(a[t * m + i]) * static_cast<double>(b[t * n + j]);
  return product;
}

void checkGram(Checks& checks, size_t rows, size_t width) {
  char name[80];
  std::snprintf(name, sizeof name, "accumulateGram %zu x %zu", rows, width);
  const std::vector<float> x = randomFloats(rows * width, 1);
  const std::vector<float> gram = everywhere(checks, name, [&](Context& context) {
    std::vector<float> result(width * width, 2.0f);
    accumulateGram(context, x.data(), rows, width, result.data());
    return result;
  });
  Doubles expected = transposedProduct(x, x, rows, width, width);
  for (double& value : expected) value += 2;
  // Products below 1: a float32 sum of 128, and one addition to a sum of at most `rows` per 128 rows.
  const double size = static_cast<double>(rows);
  checks.expectClose(gram, expected, (std::min(size, 128.0) + size / 128 + 2) * (size + 2) * 0x1p-24, name);
  for (size_t i = 0; i < width; ++i)
    for (size_t j = 0; j < i; ++j)
      if (gram[i * width + j] != gram[j * width + i]) return checks.expect(false, name, "is not symmetric");
}

void checkMultiply(Checks& checks, size_t m, size_t n, size_t k) {
  char name[80];
  std::snprintf(name, sizeof name, "multiplyAdd %zu x %zu x %zu", m, n, k);
  const size_t strideA = k + 3, strideB = n + 1, strideC = n + 5;
  const std::vector<float> a = randomFloats(m * strideA, 1), b = randomFloats(k * strideB, 2), c = randomFloats(m * strideC, 3);
  const std::vector<float> result = everywhere(checks, name, [&](Context& context) {
    std::vector<float> sum = c;
    multiplyAdd(context, {m, n, k, -0.75f, a.data(), strideA, b.data(), strideB, sum.data(), strideC});
    return sum;
  });
  Doubles expected(c.begin(), c.end());
  for (size_t i = 0; i < m; ++i)
    for (size_t j = 0; j < n; ++j)
      for (size_t t = 0; t < k; ++t)
        expected[i * strideC + j] -= 0.75 * static_cast<double>(a[i * strideA + t]) * static_cast<double>(b[t * strideB + j]);
  const double size = static_cast<double>(k);
  checks.expectClose(result, expected, (std::min(size, 128.0) + size / 128 + 2) * (size + 1) * 0x1p-24, name);
}

/** |U^T U (H + damping I) - I| for a well-conditioned H. */
void checkCholesky(Checks& checks, size_t n, bool everyIsa) {
  char name[80];
  std::snprintf(name, sizeof name, "inverseCholesky %zu", n);
  const std::vector<float> x = randomFloats(2 * n * n, n);
  std::vector<float> h(n * n);
  {
    Context context(2, test::availableIsas().back());
    accumulateGram(context, x.data(), 2 * n, n, h.data());
  }
  const double damping = 0.1 * static_cast<double>(h[0]);
  const auto run = [&](Context& context) {
    std::vector<float> out(n * n, 7);
    checks.expect(inverseCholesky(context, h.data(), n, damping, out.data()) == -1, name, "found a pivot that is not positive");
    return out;
  };
  Context context(2, test::availableIsas().back());
  const std::vector<float> u = everyIsa ? everywhere(checks, name, run) : run(context);
  const Doubles inverse = transposedProduct(u, u, n, n, n);
  double worst = 0;
  bool upper = true;
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) {
      if (j < i) upper = upper && u[i * n + j] == 0;
      double sum = i == j ? -1 : inverse[i * n + j] * damping;
      if (i == j) sum += inverse[i * n + i] * damping;
      for (size_t t = 0; t < n; ++t) sum += inverse[i * n + t] * static_cast<double>(h[t * n + j]);
      worst = std::max(worst, std::fabs(sum));
    }
  char detail[80];
  std::snprintf(detail, sizeof detail, "U^T U H is %.3g off the identity", worst);
  // U is rounded to float32; the condition number of H stays below 100.
  checks.expect(worst <= 100 * std::sqrt(static_cast<double>(n)) * 0x1p-24, name, detail);
  checks.expect(upper, name, "U is not upper triangular");
}

void checkCholeskyFailure(Checks& checks) {
  for (size_t n : {5, 128, 129, 300})
    for (size_t bad : {size_t{0}, n / 2, n - 1})
      for (float value : {0.0f, -1.0f}) {
        std::vector<float> h(n * n), out(n * n, 7);
        for (size_t i = 0; i < n; ++i) h[i * n + i] = i == bad ? value : 2.0f;
        Context context(2, test::availableIsas().back());
        checks.expect(inverseCholesky(context, h.data(), n, 0, out.data()) == static_cast<ptrdiff_t>(bad), "inverseCholesky names the column");
      }
  std::vector<float> ones(40 * 40, 1.0f), out(40 * 40);
  Context context(2, test::availableIsas().back());
  checks.expect(inverseCholesky(context, ones.data(), 40, 0, out.data()) == 38, "inverseCholesky refuses a matrix of rank 1 at its second pivot");
  checks.expect(inverseCholesky(context, ones.data(), 40, 1, ones.data()) == -1, "inverseCholesky works in place");
}

void checkEigen(Checks& checks, size_t n) {
  const std::vector<float> x = randomFloats(n * n, n);
  Doubles a(n * n);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) a[i * n + j] = static_cast<double>(x[i * n + j]) + static_cast<double>(x[j * n + i]);
  Doubles copy = a;
  Context context(2, test::availableIsas().back());
  const SymmetricEigen eigen = symmetricEigen(context, copy.data(), n, n);
  double worst = 0;
  for (size_t e = 0; e < n; ++e)
    for (size_t i = 0; i < n; ++i) {
      double residual = -eigen.values[e] * eigen.vectors[e * n + i], overlap = e == i ? -1 : 0;
      for (size_t j = 0; j < n; ++j) {
        residual += a[i * n + j] * eigen.vectors[e * n + j];
        overlap += eigen.vectors[e * n + j] * eigen.vectors[i * n + j];
      }
      worst = std::max({worst, std::fabs(residual), std::fabs(overlap)});
    }
  checks.expect(worst <= 1e-14 * static_cast<double>(n) * static_cast<double>(n + 10), "symmetricEigen: A z = value z, z orthonormal");
  checks.expect(std::is_sorted(eigen.values.rbegin(), eigen.values.rend()), "symmetricEigen: values descend");
}

struct Svd {
  std::vector<float> u, s, v;
};

/** A random matrix with the singular values `s`: rotations of a diagonal matrix by products of plane rotations. */
std::vector<float> matrixWith(const std::vector<double>& s, size_t rows, size_t columns, uint64_t seed) {
  Doubles a(rows * columns, 0.0);
  for (size_t i = 0; i < s.size(); ++i) a[i * columns + i] = s[i];
  test::Random random(seed);
  for (size_t turn = 0; turn < 12 * std::max(rows, columns); ++turn) {
    const double angle = 3 * static_cast<double>(random.uniform()), c = std::cos(angle), t = std::sin(angle);
    const auto mix = [&](double& x, double& y) {
      const double old = x;
      x = c * old - t * y;
      y = t * old + c * y;
    };
    if (turn % 2 == 0 && rows > 1) {
      const size_t i = random.below(rows), j = (i + 1 + random.below(rows - 1)) % rows;
      for (size_t k = 0; k < columns; ++k) mix(a[i * columns + k], a[j * columns + k]);
    } else if (columns > 1) {
      const size_t i = random.below(columns), j = (i + 1 + random.below(columns - 1)) % columns;
      for (size_t k = 0; k < rows; ++k) mix(a[k * columns + i], a[k * columns + j]);
    }
  }
  return std::vector<float>(a.begin(), a.end());
}

/** Columns are orthonormal, or zero where the singular value is. */
bool orthonormal(const std::vector<float>& x, size_t length, const std::vector<float>& s) {
  const size_t rank = s.size();
  const Doubles gram = transposedProduct(x, x, length, rank, rank);
  for (size_t i = 0; i < rank; ++i)
    for (size_t j = 0; j < rank; ++j)
      if (!(std::fabs(gram[i * rank + j] - (i == j && s[i] > 0 ? 1 : 0)) < 4e-5)) return false;
  return true;
}

void checkSvd(Checks& checks, const char* kind, const std::vector<double>& values, size_t rows, size_t columns, size_t rank, bool everyIsa, double scale = 1) {
  char name[120];
  std::snprintf(name, sizeof name, "truncatedSvd of %s, %zu x %zu, rank %zu, scale %g", kind, rows, columns, rank, scale);
  std::vector<float> a = matrixWith(values, rows, columns, rows + 3 * rank);
  for (float& x : a) x = static_cast<float>(static_cast<double>(x) * scale);
  Svd svd;
  const auto run = [&](Context& context) {
    svd = {std::vector<float>(rows * rank, 7), std::vector<float>(rank, 7), std::vector<float>(columns * rank, 7)};
    truncatedSvd(context, {a.data(), rows, columns, rank, svd.u.data(), svd.s.data(), svd.v.data()});
    std::vector<float> all = svd.u;
    all.insert(all.end(), svd.s.begin(), svd.s.end());
    all.insert(all.end(), svd.v.begin(), svd.v.end());
    return all;
  };
  Context context(2, test::availableIsas().back());
  everyIsa ? everywhere(checks, name, run) : run(context);
  const double largest = values.empty() ? 0 : scale * values[0];
  for (size_t i = 0; i < rank; ++i) {
    const double expected = i < values.size() ? scale * values[i] : 0;
    char detail[120];
    std::snprintf(detail, sizeof detail, "value %zu: %.9g, expected %.9g", i, static_cast<double>(svd.s[i]), expected);
    checks.expect(std::fabs(static_cast<double>(svd.s[i]) - expected) <= 1e-6 * expected + 4e-7 * largest, name, detail);
  }
  checks.expect(orthonormal(svd.u, rows, svd.s), name, "u is not orthonormal");
  checks.expect(orthonormal(svd.v, columns, svd.s), name, "v is not orthonormal");
  double error = 0, tail = 0;
  for (size_t i = rank; i < values.size(); ++i) tail += scale * values[i] * scale * values[i];
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < columns; ++c) {
      double difference = static_cast<double>(a[r * columns + c]);
      for (size_t i = 0; i < rank; ++i)
        difference -= static_cast<double>(svd.u[r * rank + i]) * static_cast<double>(svd.s[i]) * static_cast<double>(svd.v[c * rank + i]);
      error += difference * difference;
    }
  char detail[120];
  std::snprintf(detail, sizeof detail, "error %.9g, expected the tail %.9g", std::sqrt(error), std::sqrt(tail));
  checks.expect(std::fabs(std::sqrt(error) - std::sqrt(tail)) <= 1e-5 * (largest * std::sqrt(static_cast<double>(rank)) + std::sqrt(tail)), name, detail);
}

std::vector<double> decaying(size_t count, double ratio) {
  std::vector<double> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = std::pow(ratio, static_cast<double>(i));
  return values;
}

std::vector<double> linear(size_t count) {
  std::vector<double> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<double>(2 * count - i) / static_cast<double>(2 * count);
  return values;
}

void checkNorms(Checks& checks, size_t rows, size_t columns) {
  const std::vector<float> x = randomFloats(rows * columns, 5);
  const std::vector<float> norms = everywhere(checks, "columnNorms", [&](Context& context) {
    std::vector<float> out(columns, 7);
    columnNorms(context, x.data(), rows, columns, out.data());
    return out;
  });
  Doubles expected(columns, 0.0);
  for (size_t i = 0; i < x.size(); ++i) expected[i % columns] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  for (double& value : expected) value = std::sqrt(value);
  checks.expectClose(norms, expected, std::sqrt(static_cast<double>(rows)) * 0x1p-24, "columnNorms");
}

void checkNonFinite(Checks& checks) {
  Context context(3, test::availableIsas().back());
  for (size_t columns : {1, 7, 70000})
    for (size_t rows : {1, 5}) {
      const size_t stride = columns + 2;
      std::vector<float> x(rows * stride, 1.0f);
      x[columns] = std::numeric_limits<float>::quiet_NaN();
      checks.expect(firstNonFinite(context, x.data(), rows, columns, stride) == -1, "firstNonFinite ignores what lies between rows");
      x[(rows - 1) * stride + columns - 1] = -std::numeric_limits<float>::infinity();
      const ptrdiff_t place = static_cast<ptrdiff_t>(rows * columns) - 1;
      checks.expect(firstNonFinite(context, x.data(), rows, columns, stride) == place, "firstNonFinite finds the last element");
      x[0] = std::numeric_limits<float>::quiet_NaN();
      checks.expect(firstNonFinite(context, x.data(), rows, columns, stride) == 0, "firstNonFinite names the first");
    }
}

}  // namespace

int main() {
  Checks checks;
  for (size_t width = 1; width <= 40; ++width) checkGram(checks, width % 5 + 1, width);
  for (size_t rows : {127, 128, 513, 1100}) checkGram(checks, rows, 37);
  checkGram(checks, 130, 300);
  for (size_t size = 1; size <= 40; ++size) checkMultiply(checks, size, 41 - size, size % 7 + 1);
  checkMultiply(checks, 100, 270, 600);
  checkMultiply(checks, 97, 1, 129);
  checkMultiply(checks, 3, 8200, 2);
  for (size_t n : {1, 2, 3, 7, 16, 33, 127, 128, 129}) checkCholesky(checks, n, true);
  for (size_t n : {257, 700}) checkCholesky(checks, n, false);
  checkCholeskyFailure(checks);
  for (size_t n : {1, 2, 3, 10, 33, 100}) checkEigen(checks, n);

  for (size_t n : {1, 2, 3, 17, 40}) {
    checkSvd(checks, "a decaying spectrum", decaying(n, 0.8), n, n, n, true);
    checkSvd(checks, "a decaying spectrum", decaying(n, 0.8), n + 9, n, (n + 1) / 2, true);
    checkSvd(checks, "a decaying spectrum", decaying(n, 0.8), n, n + 20, n, true);
  }
  checkSvd(checks, "nothing", {}, 12, 9, 5, true);
  checkSvd(checks, "nothing", {}, 300, 320, 5, true);
  checkSvd(checks, "a flat spectrum", linear(260), 260, 280, 5, true);
  checkSvd(checks, "a decaying spectrum", decaying(200, 0.93), 350, 200, 9, true);
  checkSvd(checks, "a rank of 3", decaying(3, 0.5), 300, 310, 10, true);
  checkSvd(checks, "equal values", std::vector<double>(320, 2.0), 320, 320, 20, false);
  checkSvd(checks, "many equal values", [] {
    std::vector<double> values(320, 1.0);
    std::fill_n(values.begin(), 40, 5.0);
    return values;
  }(), 320, 330, 20, false);
  checkSvd(checks, "an outlier", [] {
    std::vector<double> values = linear(400);
    values[0] = 1000;
    return values;
  }(), 400, 420, 12, false);
  for (double scale : {1e-30, 1e30}) {
    checkSvd(checks, "a flat spectrum", linear(260), 260, 280, 5, false, scale);
    checkSvd(checks, "a flat spectrum", linear(20), 30, 20, 5, false, scale);
  }
  checkNorms(checks, 1, 1);
  checkNorms(checks, 33, 300);
  checkNorms(checks, 5, 256);
  checkNonFinite(checks);
  return checks.report();
}
