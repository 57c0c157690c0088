#include "base/simd_avx512.h"
#include "linear/kernels.inc"
