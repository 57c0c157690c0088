#include "primitives/top_k.h"

#include <atomic>
#include <cstring>

#include "primitives/kernels.h"
#include "primitives/order.h"

namespace winnow {
namespace {

/** Kept are keys above `key` and the first `ties` keys equal to it. */
struct Threshold {
  uint32_t key;
  size_t ties;
};

/** Four tables, so that neighbours of equal value do not wait for each other's counter. */
constexpr size_t kTables = 4;
constexpr unsigned kFirstShift = 32 - kDigitBits;

struct Scratch {
  uint32_t* keys;
  uint32_t* candidates;
  uint32_t* counts;
};

constexpr size_t scratchElements(size_t columns) { return 2 * columns + kTables * kDigits; }

/** Counts the first digit of all keys into `counts[0 .. kDigits)`. */
void countFirstDigit(const uint32_t* keys, size_t columns, uint32_t* counts) {
  std::memset(counts, 0, kTables * kDigits * sizeof *counts);
  size_t i = 0;
  for (; i + kTables <= columns; i += kTables) {
    for (size_t t = 0; t < kTables; ++t) ++counts[t * kDigits + (keys[i + t] >> kFirstShift)];
  }
  for (; i < columns; ++i) ++counts[keys[i] >> kFirstShift];
  for (size_t t = 1; t < kTables; ++t) {
    for (size_t digit = 0; digit < kDigits; ++digit) counts[digit] += counts[t * kDigits + digit];
  }
}

/** Counts a later digit of the candidates that begin with `prefix`. */
void countDigit(const Scratch& s, size_t candidates, uint32_t prefix, uint32_t prefixMask, unsigned shift, size_t digits) {
  std::memset(s.counts, 0, digits * sizeof *s.counts);
  for (size_t i = 0; i < candidates; ++i) {
    const uint32_t key = s.keys[s.candidates[i]];
    if ((key & prefixMask) == prefix) ++s.counts[(key >> shift) & (digits - 1)];
  }
}

/** Highest digit down to which at least `wanted` keys lie; `wanted` becomes how many of that digit itself are needed. */
uint32_t chooseDigit(const uint32_t* counts, size_t digits, size_t& wanted) {
  size_t digit = digits - 1;
  for (; counts[digit] < wanted; --digit) wanted -= counts[digit];
  return static_cast<uint32_t>(digit);
}

/** Later digits decide among the candidates that share the first digits with the k-th largest key. */
Threshold refine(const Scratch& s, size_t candidates, uint32_t prefix, size_t wanted) {
  unsigned shift = kFirstShift;
  while (shift > 0) {
    const uint32_t prefixMask = ~uint32_t{0} << shift;
    const unsigned bits = shift < kDigitBits ? shift : kDigitBits;
    shift -= bits;
    countDigit(s, candidates, prefix, prefixMask, shift, size_t{1} << bits);
    prefix |= chooseDigit(s.counts, size_t{1} << bits, wanted) << shift;
  }
  return {prefix, wanted};
}

bool topKRow(const PrimitiveKernels& kernels, const float* values, size_t columns, size_t k, const Scratch& s, int32_t* out) {
  if (!kernels.orderedKeys(values, columns, s.keys)) return false;
  if (k == 0) return true;
  countFirstDigit(s.keys, columns, s.counts);
  size_t wanted = k;
  const uint32_t prefix = chooseDigit(s.counts, kDigits, wanted) << kFirstShift;
  const size_t candidates = kernels.collect(s.keys, columns, prefix, s.candidates);
  const Threshold threshold = candidates == k ? Threshold{prefix, k} : refine(s, candidates, prefix, wanted);
  size_t ties = threshold.ties;
  size_t count = 0;
  for (size_t i = 0; count < k; ++i) {
    const uint32_t key = s.keys[s.candidates[i]];
    if (key < threshold.key || (key == threshold.key && ties == 0)) continue;
    if (key == threshold.key) --ties;
    out[count++] = static_cast<int32_t>(s.candidates[i]);
  }
  return true;
}

}  // namespace

bool topKRows(Context& context, const float* values, size_t rows, size_t columns, size_t k, int32_t* out) {
  const PrimitiveKernels& kernels = primitiveKernels(context.isa);
  for (AlignedBuffer& buffer : context.threadScratch) buffer.reserve<uint32_t>(scratchElements(columns));
  std::atomic<bool> ordered{true};
  context.pool.parallel(rows, [&](size_t row, int thread) {
    uint32_t* memory = context.threadScratch[static_cast<size_t>(thread)].reserve<uint32_t>(scratchElements(columns));
    const Scratch scratch{memory, memory + columns, memory + 2 * columns};
    if (!topKRow(kernels, values + row * columns, columns, k, scratch, out + row * k)) ordered = false;
  });
  return ordered;
}

}  // namespace winnow
