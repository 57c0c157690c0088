#include "base/simd_avx2.h"
#include "channels/compress_avx2.h"
#include "channels/kernels.inc"
