#include "algebra/f64_avx2.h"
#include "algebra/kernels.inc"
