#pragma once

/**
 * What compressed weights and packed cache rows need beyond base/simd.h, with one meaning on every instruction set (`linear/compressed/expand_<set>.h`, in the set's namespace).
 * A step is 64 bytes of a panel: 16 outputs times two bf16 or four int8.
 *
 *   Raw                              one step as stored: loadRaw(p) storeRaw(p, raw)
 *   expandHalves(values, word)       element i: bit i of the word ? the next of `values` : 0; reads at most 64 bytes
 *   expandFloats(values, bits)       the same for 16 float32, as a vector
 *   expandBytes(values, word)        the same for 64 bytes
 *   pairsOf(raw)                     as Bf16x32
 *   I32x16                           zeroInts() toFloats(v) subScaled(v, k, p) = v - k * p[lane], modulo 2^32
 *   kActivationOffset                quantised activations are stored with this added (to make them unsigned), see dotQuads
 *   Quad                             broadcastQuad(p): four activations for all lanes
 *   dotQuads(acc, x, raw)            acc + sum of four x * w, modulo 2^32
 *   Places<Bits>                     placesOf<Bits>(words): 16 places of Bits bits, lane 0 lowest
 *   pick<Bits>(x, places)            lane: x[place]; reads x[0 .. 2^Bits)
 */

#include "base/simd.h"
