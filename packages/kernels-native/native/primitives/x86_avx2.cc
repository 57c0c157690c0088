#include "base/simd_avx2.h"
#include "primitives/kernels.inc"
