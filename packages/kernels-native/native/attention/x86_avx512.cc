#include "linear/compressed/expand_avx512.h"

#include "attention/kernels.inc"
