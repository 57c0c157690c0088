#include "base/simd_generic.h"
#include "primitives/kernels.inc"
