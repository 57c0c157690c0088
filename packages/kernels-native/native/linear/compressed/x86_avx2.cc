#include "linear/compressed/expand_avx2.h"
#include "linear/compressed/kernels.inc"
