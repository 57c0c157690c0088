#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "algebra/algebra.h"

namespace winnow {
namespace {

constexpr size_t kColumnsPerStrip = 256;
constexpr size_t kElementsPerTask = 65536;

size_t ceilDiv(size_t a, size_t b) { return (a + b - 1) / b; }

uint32_t exponentOf(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits & 0x7f800000;
}

bool isNonFinite(float x) { return exponentOf(x) == 0x7f800000; }

bool holdsNonFinite(const float* x, size_t count) {
  uint32_t largest = 0;
  for (size_t i = 0; i < count; ++i) largest = std::max(largest, exponentOf(x[i]));
  return largest == 0x7f800000;
}

}  // namespace

void columnNorms(Context& context, const float* x, size_t rows, size_t columns, float* out) {
  context.pool.parallel(ceilDiv(columns, kColumnsPerStrip), [&](size_t strip, int) {
    const size_t begin = strip * kColumnsPerStrip, count = std::min(kColumnsPerStrip, columns - begin);
    double sums[kColumnsPerStrip] = {};
    for (size_t row = 0; row < rows; ++row) {
      const float* values = x + row * columns + begin;
      for (size_t c = 0; c < count; ++c) sums[c] += static_cast<double>(values[c]) * static_cast<double>(values[c]);
    }
    for (size_t c = 0; c < count; ++c) out[begin + c] = static_cast<float>(std::sqrt(sums[c]));
  });
}

ptrdiff_t firstNonFinite(Context& context, const float* x, size_t rows, size_t columns, size_t stride) {
  if (rows == 0 || columns == 0) return -1;
  if (stride == columns && rows > 1) return firstNonFinite(context, x, 1, rows * columns, rows * columns);
  const size_t width = std::min(columns, kElementsPerTask), pieces = ceilDiv(columns, width);
  const size_t rowsPerTask = std::max<size_t>(1, kElementsPerTask / width);
  std::atomic<size_t> first{rows * columns};
  context.pool.parallel(ceilDiv(rows, rowsPerTask) * pieces, [&](size_t task, int) {
    const size_t begin = task % pieces * width, count = std::min(width, columns - begin);
    const size_t last = std::min(rows, (task / pieces + 1) * rowsPerTask);
    for (size_t row = task / pieces * rowsPerTask; row < last; ++row) {
      const float* values = x + row * stride + begin;
      if (!holdsNonFinite(values, count)) continue;
      const size_t place = row * columns + begin + static_cast<size_t>(std::find_if(values, values + count, isNonFinite) - values);
      for (size_t old = first; place < old && !first.compare_exchange_weak(old, place);) {
      }
      return;
    }
  });
  return first == rows * columns ? -1 : static_cast<ptrdiff_t>(first.load());
}

}  // namespace winnow
