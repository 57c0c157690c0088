#include "base/simd_avx512.h"
#include "elementwise/kernels.inc"
