#include "base/simd_generic.h"

#include "attention/prefill.inc"

#include "attention/decode.inc"
