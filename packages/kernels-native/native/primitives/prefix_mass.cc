#include <algorithm>
#include <utility>

#include "primitives/kernels.h"
#include "primitives/order.h"
#include "primitives/top_k.h"

namespace winnow {
namespace {

/** One stable pass of a radix sort of `from` by a digit of their keys, largest digit first. */
void sortByDigit(const uint32_t* keys, const uint32_t* from, uint32_t* to, size_t count, unsigned shift) {
  size_t next[kDigits] = {};
  const auto digitOf = [&](uint32_t index) { return kDigits - 1 - ((keys[index] >> shift) & (kDigits - 1)); };
  for (size_t i = 0; i < count; ++i) ++next[digitOf(from[i])];
  size_t start = 0;
  for (size_t& place : next) start += std::exchange(place, start);
  for (size_t i = 0; i < count; ++i) to[next[digitOf(from[i])]++] = from[i];
}

size_t fewestWithMass(const float* values, const uint32_t* order, size_t count, double mass) {
  // Added in the order of the prefix sums, so that mass 1 is reached.
  double total = 0;
  for (size_t i = 0; i < count; ++i) total += values[order[i]];
  double sum = 0;
  size_t fewest = 0;
  while (fewest < count && sum < mass * total) sum += values[order[fewest++]];
  return fewest;
}

}  // namespace

ptrdiff_t prefixMass(Context& context, const float* values, size_t count, double mass, int32_t* out) {
  uint32_t* keys = context.partials.reserve<uint32_t>(3 * count);
  uint32_t* order = keys + count;
  uint32_t* other = order + count;
  if (!primitiveKernels(context.isa).orderedKeys(values, count, keys)) return -1;
  for (size_t i = 0; i < count; ++i) order[i] = static_cast<uint32_t>(i);
  for (unsigned shift = 0; shift < 32; shift += kDigitBits) {
    sortByDigit(keys, order, other, count, shift);
    std::swap(order, other);
  }
  const size_t fewest = fewestWithMass(values, order, count, mass);
  std::copy_n(order, fewest, out);
  std::sort(out, out + fewest);
  return static_cast<ptrdiff_t>(fewest);
}

}  // namespace winnow
