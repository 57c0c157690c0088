#include "base/test.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "primitives/primitives.h"

using namespace winnow;
using namespace winnow::test;

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/** Calls `run(context)` for every instruction set and 1, 2 and 3 threads; all must give the bits of the first, which is returned. */
template <class Run>
std::vector<float> everywhere(Checks& checks, const char* what, const Run& run) {
  std::vector<float> first;
  for (Isa isa : availableIsas())
    for (int threads : {1, 2, 3}) {
      Context context(threads, isa);
      const std::vector<float> result = run(context);
      if (first.empty()) first = result;
      checks.expectSameBits(result, first, what);
    }
  return first;
}

void checkScores(Checks& checks, Dtype dtype, size_t queries, size_t keys, size_t d, bool causal) {
  char name[120];
  std::snprintf(name, sizeof name, "scores %s queries=%zu keys=%zu d=%zu causal=%d", dtype == Dtype::f32 ? "f32" : "bf16", queries, keys, d, causal);
  const size_t qStride = d + 3, kStride = d + 5;
  const std::vector<float> q = randomFloats(queries * qStride, 1), k = randomFloats(keys * kStride, 2);
  const std::vector<uint16_t> halves = toBf16(k);
  const void* keyData = dtype == Dtype::f32 ? static_cast<const void*>(k.data()) : halves.data();
  const int64_t offset = causal ? static_cast<int64_t>(keys) - static_cast<int64_t>(queries) : kNotCausal;
  const std::vector<float> out = everywhere(checks, name, [&](Context& context) {
    std::vector<float> result(queries * keys, 7);
    scores(context, {q.data(), queries, qStride, dtype, keyData, keys, kStride, d, 0.125f, offset, result.data()});
    return result;
  });
  std::vector<double> expected(queries * keys);
  for (size_t r = 0; r < queries; ++r)
    for (size_t j = 0; j < keys; ++j) {
      double sum = 0;
      for (size_t c = 0; c < d; ++c) {
        const float key = dtype == Dtype::f32 ? k[j * kStride + c] : fromBf16(halves[j * kStride + c]);
        sum += static_cast<double>(q[r * qStride + c]) * static_cast<double>(key);
      }
      const bool hidden = causal && static_cast<int64_t>(j) > offset + static_cast<int64_t>(r);
      expected[r * keys + j] = hidden ? -static_cast<double>(kInfinity) : 0.125 * sum;
    }
  // d / 16 fused steps, 4 levels of the tree and the scaling, on sums up to d / 8.
  checks.expectClose(out, expected, (static_cast<double>(d) / 16 + 6) * static_cast<double>(d) / 8 * 0x1p-24, name);
}

void checkSoftmax(Checks& checks, size_t rows, size_t columns) {
  std::vector<float> x = randomFloats(rows * columns, 3, 20.0f);
  for (size_t i = 0; i < x.size(); i += 3) x[i] = -kInfinity;
  if (rows > 1) std::fill_n(x.begin(), columns, -kInfinity);
  const std::vector<float> out = everywhere(checks, "softmaxRows", [&](Context& context) {
    std::vector<float> result = x;
    checks.expect(softmaxRows(context, result.data(), rows, columns) == -1, "softmaxRows accepts finite numbers and -infinity");
    return result;
  });
  for (size_t r = 0; r < rows; ++r) {
    double highest = -static_cast<double>(kInfinity), sum = 0;
    for (size_t c = 0; c < columns; ++c) highest = std::max(highest, static_cast<double>(x[r * columns + c]));
    std::vector<double> expected(columns, 0.0);
    if (highest > -1e30) {
      for (size_t c = 0; c < columns; ++c) sum += expected[c] = std::exp(static_cast<double>(x[r * columns + c]) - highest);
      for (double& e : expected) e /= sum;
    }
    // exp to 2e-7, the argument rounded at magnitude 40, the sum and the division.
    const std::vector<float> row(out.begin() + static_cast<long>(r * columns), out.begin() + static_cast<long>((r + 1) * columns));
    checks.expectClose(row, expected, 40 * 0x1p-24 + 1e-6, "softmaxRows");
  }
}

void checkSoftmaxRefusals(Checks& checks) {
  Context context(2, availableIsas().back());
  for (float bad : {kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> x(5 * 33, 1.0f);
    x[3 * 33 + 32] = bad;
    checks.expect(softmaxRows(context, x.data(), 5, 33) == 3, "softmaxRows names the row of NaN or +infinity");
  }
  std::vector<float> hidden(20, -kInfinity);
  hidden[4] = std::numeric_limits<float>::quiet_NaN();
  checks.expect(softmaxRows(context, hidden.data(), 1, 20) == 0, "softmaxRows finds NaN in a row that is hidden otherwise");
}

void checkSums(Checks& checks, size_t rows, size_t columns) {
  const std::vector<float> x = randomFloats(rows * columns, 4);
  std::vector<double> byColumn(columns, 0.0), byDistance(columns, 0.0);
  for (size_t r = 0; r < rows; ++r)
    for (size_t j = 0; j < columns; ++j) {
      byColumn[j] += static_cast<double>(x[r * columns + j]);
      const int64_t distance = static_cast<int64_t>(columns) - static_cast<int64_t>(rows) + static_cast<int64_t>(r) - static_cast<int64_t>(j);
      if (distance >= 0 && distance < static_cast<int64_t>(columns)) byDistance[static_cast<size_t>(distance)] += static_cast<double>(x[r * columns + j]);
    }
  const double bound = (64.0 * 64 + static_cast<double>(rows)) * 0x1p-24;
  const auto sums = [&](void (*sum)(Context&, const float*, size_t, size_t, float*)) {
    return everywhere(checks, "sums", [&](Context& context) {
      std::vector<float> out(columns, 7);
      sum(context, x.data(), rows, columns, out.data());
      return out;
    });
  };
  checks.expectClose(sums(columnSums), byColumn, bound, "columnSums");
  checks.expectClose(sums(diagonalSums), byDistance, bound, "diagonalSums");
}

void checkPool(Checks& checks, Dtype dtype, size_t length, size_t d, size_t blockSize, size_t extraBlocks) {
  const size_t stride = d + 2, blocks = (length + blockSize - 1) / blockSize + extraBlocks;
  std::vector<float> x = randomFloats(std::max<size_t>(1, length * stride), 5);
  for (float& value : x) value = fromBf16(toBf16(value));
  const std::vector<uint16_t> halves = toBf16(x);
  const void* data = dtype == Dtype::f32 ? static_cast<const void*>(x.data()) : halves.data();
  const std::vector<float> out = everywhere(checks, "poolMean", [&](Context& context) {
    std::vector<float> result(blocks * d, 7);
    poolMean(context, {dtype, data, length, d, stride, blockSize, blocks, result.data()});
    return result;
  });
  std::vector<double> expected(blocks * d, 0.0);
  for (size_t t = 0; t < length; ++t)
    for (size_t c = 0; c < d; ++c) expected[t / blockSize * d + c] += static_cast<double>(x[t * stride + c]) / static_cast<double>(blockSize);
  checks.expectClose(out, expected, 65 * 0x1p-24, "poolMean");
}

/** By full sort: larger first, then lower index. */
std::vector<int32_t> bestIndices(const float* values, size_t count, size_t k) {
  std::vector<int32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return values[a] > values[b]; });
  order.resize(k);
  std::sort(order.begin(), order.end());
  return order;
}

void checkTopK(Checks& checks, const char* what, const std::vector<float>& values, size_t rows) {
  const size_t columns = values.size() / rows;
  for (Isa isa : availableIsas()) {
    Context context(2, isa);
    for (size_t k : {size_t{0}, size_t{1}, columns / 3, columns - 1, columns}) {
      std::vector<int32_t> out(rows * k + 1, -1), expected;
      checks.expect(topKRows(context, values.data(), rows, columns, k, out.data()), what, "finds no NaN");
      for (size_t r = 0; r < rows; ++r) {
        const std::vector<int32_t> best = bestIndices(values.data() + r * columns, columns, k);
        expected.insert(expected.end(), best.begin(), best.end());
      }
      expected.push_back(-1);
      checks.expect(out == expected, what);
    }
  }
}

std::vector<float> hardValues(size_t count) {
  std::vector<float> values = randomFloats(count, 6);
  Random random(7);
  for (float& value : values) {
    const size_t kind = random.below(8);
    if (kind == 0) value = 0.0f;
    if (kind == 1) value = -0.0f;
    if (kind == 2) value = -kInfinity;
    if (kind == 3) value = 1e-42f;
    if (kind == 4) value = kInfinity;
  }
  return values;
}

void checkSelection(Checks& checks) {
  for (size_t count : {1, 2, 3, 15, 16, 17, 64, 255, 256, 257, 2047, 2048, 2049, 5000}) {
    checkTopK(checks, "topKRows of random values", randomFloats(count, 8), 1);
    checkTopK(checks, "topKRows takes the lower indices where all are equal", std::vector<float>(count, 0.25f), 1);
    checkTopK(checks, "topKRows with infinities, denormals and both zeros", hardValues(count), 1);
    std::vector<float> close(count, 1.0f);
    for (size_t i = 0; i < count; ++i) close[i] += static_cast<float>(i * 7919 % count) * 0x1p-23f;
    checkTopK(checks, "topKRows tells neighbouring floats apart", close, 1);
  }
  checkTopK(checks, "topKRows of several rows", randomFloats(5 * 333, 9), 5);
  Context context(2, Isa::generic);
  std::vector<float> bad(40, 1.0f);
  bad[39] = std::numeric_limits<float>::quiet_NaN();
  std::vector<int32_t> out(40);
  checks.expect(!topKRows(context, bad.data(), 2, 20, 3, out.data()), "topKRows refuses NaN");
  checks.expect(prefixMass(context, bad.data(), 40, 0.5, out.data()) == -1, "prefixMass refuses NaN");
}

void checkPrefixMass(Checks& checks, std::vector<float> values, double mass) {
  for (float& value : values) value = std::fabs(value);
  Context context(1, Isa::generic);
  std::vector<int32_t> out(values.size() + 1);
  const ptrdiff_t count = prefixMass(context, values.data(), values.size(), mass, out.data());
  out.resize(static_cast<size_t>(count));
  checks.expect(out == bestIndices(values.data(), values.size(), out.size()), "prefixMass takes the largest values");
  std::vector<float> descending = values;
  std::stable_sort(descending.begin(), descending.end(), std::greater<float>());
  double total = 0, sum = 0;
  for (float value : descending) total += static_cast<double>(value);
  size_t fewest = 0;
  while (sum < mass * total) sum += static_cast<double>(descending[fewest++]);
  checks.expect(out.size() == fewest, "prefixMass takes no more than needed");
}

}  // namespace

int main() {
  Checks checks;
  for (Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    for (size_t queries : {1, 3, 4, 5, 64})
      for (size_t keys : {1, 15, 16, 17, 127, 128, 300})
        for (size_t d : {1, 8, 16, 40, 64}) checkScores(checks, dtype, queries, keys, d, (queries + keys + d) % 2 == 0);
    checkScores(checks, dtype, 70, 20, 32, true);
    for (size_t length : {0, 1, 63, 64, 65, 200})
      for (size_t d : {1, 16, 20}) checkPool(checks, dtype, length, d, length % 2 == 0 ? 64 : 7, (length + 1) % 3);
  }
  for (size_t columns : {1, 15, 16, 17, 1023, 1024, 1025, 2500})
    for (size_t rows : {1, 5}) checkSoftmax(checks, rows, columns);
  checkSoftmaxRefusals(checks);
  for (size_t rows : {1, 2, 63, 64, 65, 200})
    for (size_t columns : {1, 16, 64, 255, 256, 257, 700}) checkSums(checks, rows, columns);
  checkSelection(checks);
  for (double mass : {0.0, 0.1, 0.5, 0.95, 1.0}) {
    for (size_t count : {1, 2, 100, 5000}) checkPrefixMass(checks, randomFloats(count, 10), mass);
    checkPrefixMass(checks, std::vector<float>(50, 0.5f), mass);
    checkPrefixMass(checks, std::vector<float>(50, 0.0f), mass);
  }
  return checks.report();
}
