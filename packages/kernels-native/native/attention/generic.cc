#include "linear/compressed/expand_generic.h"

#include "attention/kernels.inc"
