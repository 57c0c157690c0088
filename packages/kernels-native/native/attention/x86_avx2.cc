#include "linear/compressed/expand_avx2.h"

#include "attention/kernels.inc"
