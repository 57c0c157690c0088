#include "base/simd_avx2.h"

#include "attention/prefill.inc"

#include "attention/decode.inc"
