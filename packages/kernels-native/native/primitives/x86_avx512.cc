#include "base/simd_avx512.h"
#include "primitives/kernels.inc"
