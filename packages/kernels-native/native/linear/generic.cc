#include "base/simd_generic.h"
#include "linear/kernels.inc"
