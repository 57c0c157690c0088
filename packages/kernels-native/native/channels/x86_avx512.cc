#include "base/simd_avx512.h"
#include "channels/compress_avx512.h"
#include "channels/kernels.inc"
