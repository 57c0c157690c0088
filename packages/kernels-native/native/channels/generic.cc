#include "base/simd_generic.h"
#include "channels/compress_generic.h"
#include "channels/kernels.inc"
