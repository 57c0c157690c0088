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
  /** Keys with the first digits of the k-th largest; then indices. */
  uint32_t* candidates;
  uint32_t* counts;
};

/** Vectors are stored whole, up to 16 elements beyond the last one. */
constexpr size_t paddedColumns(size_t columns) { return columns + 16; }
constexpr size_t scratchElements(size_t columns) { return 2 * paddedColumns(columns) + kTables * kDigits; }

/** Counts `(key >> shift) & (kDigits - 1)` of all keys into `counts[0 .. kDigits)`. */
void countDigit(const uint32_t* keys, size_t count, unsigned shift, uint32_t* counts) {
  constexpr uint32_t mask = kDigits - 1;
  std::memset(counts, 0, kTables * kDigits * sizeof *counts);
  size_t i = 0;
  for (; i + kTables <= count; i += kTables) {
    for (size_t t = 0; t < kTables; ++t) ++counts[t * kDigits + ((keys[i + t] >> shift) & mask)];
  }
  for (; i < count; ++i) ++counts[(keys[i] >> shift) & mask];
  for (size_t t = 1; t < kTables; ++t) {
    for (size_t digit = 0; digit < kDigits; ++digit) counts[digit] += counts[t * kDigits + digit];
  }
}

/** Highest digit down to which at least `wanted` keys lie; `wanted` becomes how many of that digit itself are needed. */
uint32_t chooseDigit(const uint32_t* counts, size_t& wanted) {
  size_t digit = kDigits - 1;
  for (; counts[digit] < wanted; --digit) wanted -= counts[digit];
  return static_cast<uint32_t>(digit);
}

/** The k-th largest key, digit by digit; each digit leaves only the keys that share the digits so far. */
Threshold kthLargest(const PrimitiveKernels& kernels, const Scratch& s, size_t columns, size_t k) {
  Threshold threshold{0, k};
  const uint32_t* keys = s.keys;
  size_t count = columns;
  for (unsigned shift = kFirstShift;; shift = shift > kDigitBits ? shift - kDigitBits : 0) {
    countDigit(keys, count, shift, s.counts);
    // The last digit overlaps the one before it, whose bits all keys share by then.
    const uint32_t digits = ~uint32_t{0} << shift;
    threshold.key |= chooseDigit(s.counts, threshold.ties) << shift;
    if (shift == 0) return threshold;
    count = kernels.keysWithPrefix(keys, count, threshold.key, digits, s.candidates);
    keys = s.candidates;
    // All that are left are wanted.
    if (count == threshold.ties) return threshold;
  }
}

/** In rows this short, counting digits takes longer than going through all keys for every bit. */
constexpr size_t kShortRow = 256;

size_t countFrom(const uint32_t* keys, size_t count, uint32_t least) {
  uint32_t found = 0;
  for (size_t i = 0; i < count; ++i) found += keys[i] >= least ? 1u : 0u;
  return found;
}

/** The k-th largest key of a short row, bit by bit. */
Threshold kthLargestOfFew(const uint32_t* keys, size_t columns, size_t k) {
  uint32_t key = 0;
  for (uint32_t bit = 1u << 31; bit != 0; bit >>= 1) {
    const size_t found = countFrom(keys, columns, key | bit);
    if (found >= k) key |= bit;
    // Exactly these are wanted, whichever of them is the smallest.
    if (found == k) return {key, k};
  }
  // No key of a number has all bits set.
  return {key, k - countFrom(keys, columns, key + 1)};
}

bool topKRow(const PrimitiveKernels& kernels, const float* values, size_t columns, size_t k, const Scratch& s, int32_t* out) {
  if (!kernels.orderedKeys(values, columns, s.keys)) return false;
  if (k == 0) return true;
  const Threshold threshold = columns <= kShortRow ? kthLargestOfFew(s.keys, columns, k) : kthLargest(kernels, s, columns, k);
  const size_t candidates = kernels.collect(s.keys, columns, threshold.key, s.candidates);
  if (candidates == k) {
    std::memcpy(out, s.candidates, k * sizeof *out);
    return true;
  }
  size_t ties = threshold.ties;
  size_t count = 0;
  for (size_t i = 0; count < k; ++i) {
    const bool isTie = s.keys[s.candidates[i]] == threshold.key;
    if (isTie && ties == 0) continue;
    if (isTie) --ties;
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
    const Scratch scratch{memory, memory + paddedColumns(columns), memory + 2 * paddedColumns(columns)};
    if (!topKRow(kernels, values + row * columns, columns, k, scratch, out + row * k)) ordered = false;
  });
  return ordered;
}

}  // namespace winnow
