#include "linear/compressed/expand_generic.h"
#include "linear/compressed/kernels.inc"
