#include "linear/compressed/expand_avx512.h"
#include "linear/compressed/kernels.inc"
