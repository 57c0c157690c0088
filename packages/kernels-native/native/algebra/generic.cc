#include "algebra/f64_generic.h"
#include "algebra/kernels.inc"
