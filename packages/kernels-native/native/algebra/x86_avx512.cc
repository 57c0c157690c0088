#include "algebra/f64_avx512.h"
#include "algebra/kernels.inc"
