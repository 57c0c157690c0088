#pragma once

/**
 * Vectors of 16 float32 with one meaning on every instruction set. A kernel is written once over these names and compiled in one unit per set:
 * the unit includes `base/simd_<set>.h`, which defines WINNOW_ISA (a namespace below `winnow`), and then the kernel's `.inc`, which lives in that
 * namespace. Internal linkage throughout, or the linker might merge an AVX-512 body into generic code; for the same reason units use no inline
 * functions of the standard library.
 *
 * Same bits everywhere: every lane does the same IEEE operations in the same order (fused where it says fma), reductions have a fixed tree, and
 * the whole is compiled with -ffp-contract=off.
 *
 *   F32x16                                   zero() broadcast(x) load(p) loadFirst(p, count) store(p, v) storeFirst(p, v, count)
 *   add sub mul div fma(a, b, c) = a * b + c max(a, b) = a > b ? a : b   min(a, b) = a < b ? a : b
 *   selectLanes(bits, a, b)                  lane i: bit i ? a : b
 *   zeroBelow(x, limit, v)                   lane: x < limit ? 0 : v
 *   scaleByExponent(v, biased)               v * 2^k where `biased` is kRoundMagic + k
 *   sumLanes(v) maxLanes(v)                  tree: lane i with i + 8, then i + 4, i + 2, i + 1
 *   sumLanes16(v[16])                        lane i: sumLanes(v[i])
 *   loadUnits(p, bytes) storeUnits(p, v)     16 units of 32 bits, whatever they hold; beyond `bytes` (even): zero
 *   transpose16(v[16])                       16 x 16 units
 *   widenBf16(p)  widenBf16First(p, count)   16 bf16 as float32
 *   storeBf16(p, v)  quantizeBf16(v)         round to nearest even; denormals become 0
 *   Bf16x32                                  loadPairs(p) loadPairsFirst(p, count) broadcastPair(p): 16 pairs (even, odd)
 *   dotPairs(acc, a, b)                      fma(a.even, b.even, fma(a.odd, b.odd, acc)): what vdpbf16ps computes (it also flushes denormals:
 *                                            see base/flush_denormals.h)
 *   pairRows(a, b)                           16 pairs (a[i], b[i]) of bf16 rows
 *   interleave(a, b, p)                      stores them
 */

#include <cstddef>
#include <cstdint>
#include <cstring>

#define WINNOW_INLINE static inline __attribute__((always_inline))

namespace winnow {

/** 1.5 * 2^23: adding it rounds a small float to an integer that stands in the low bits of the sum. */
constexpr float kRoundMagic = 12582912.0f;

}  // namespace winnow
