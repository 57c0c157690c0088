#include "base/simd_generic.h"
#include "elementwise/kernels.inc"
