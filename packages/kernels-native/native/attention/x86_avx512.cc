#include "base/simd_avx512.h"

#include "attention/prefill.inc"

#include "attention/decode.inc"
