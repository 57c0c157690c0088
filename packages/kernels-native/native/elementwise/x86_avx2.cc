#include "base/simd_avx2.h"
#include "elementwise/kernels.inc"
