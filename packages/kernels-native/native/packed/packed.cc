#include "packed/packed.h"

#include <algorithm>
#include <cstring>

namespace winnow {
namespace {

/** Tokens per task: enough work to be worth a task, small enough that one head of a long prompt uses all threads. */
constexpr size_t kTokensPerTask = 512;

template <class Element>
void packRow(const Element* row, const uint16_t* indices, size_t kept, uint8_t* bits, Element* values) {
  for (size_t i = 0; i < kept; ++i) {
    bits[indices[i] / 8] |= static_cast<uint8_t>(1u << indices[i] % 8);
    values[i] = row[indices[i]];
  }
}

template <class Element>
void packRun(const CacheView& source, const uint16_t* indices, const PackedTarget& target, size_t start, size_t head, size_t first, size_t end) {
  const size_t kept = target.kept, rowBytes = (source.headDim + 7) / 8;
  const Element* from = static_cast<const Element*>(source.data) + head * source.headStride;
  Element* values = static_cast<Element*>(target.values);
  std::memset(target.bitmap + (head * target.capacity + start + first) * rowBytes, 0, (end - first) * rowBytes);
  for (size_t token = first; token < end; ++token) {
    const size_t row = head * target.capacity + start + token;
    packRow(from + token * source.tokenStride, indices + (head * source.length + token) * kept, kept, target.bitmap + row * rowBytes,
            values + row * kept);
  }
}

}  // namespace

void packTokens(Context& context, const CacheView& source, const uint16_t* indices, const PackedTarget& target, size_t start) {
  const size_t runs = (source.length + kTokensPerTask - 1) / kTokensPerTask;
  const auto pack = source.dtype == Dtype::bf16 ? packRun<uint16_t> : packRun<float>;
  context.pool.parallel(source.heads * runs, [&](size_t task, int) {
    const size_t first = task % runs * kTokensPerTask;
    pack(source, indices, target, start, task / runs, first, std::min(source.length, first + kTokensPerTask));
  });
}

ptrdiff_t wrongIndices(const uint16_t* indices, size_t rows, size_t kept, size_t headDim) {
  for (size_t row = 0; row < rows; ++row) {
    const uint16_t* list = indices + row * kept;
    bool right = list[kept - 1] < headDim;
    for (size_t i = 1; i < kept; ++i) right &= list[i - 1] < list[i];
    if (!right) return static_cast<ptrdiff_t>(row);
  }
  return -1;
}

}  // namespace winnow
