#include "base/simd_avx2.h"
#include "linear/kernels.inc"
