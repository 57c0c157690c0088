#include "attention/kernels.h"

namespace winnow {

const AttentionKernels& attentionKernelsOf(Isa isa) {
#ifndef WINNOW_NO_AVX512
  if (isa == Isa::avx512) return avx512::attentionKernels;
#endif
#ifndef WINNOW_NO_X86
  if (isa == Isa::avx2) return avx2::attentionKernels;
#endif
  (void)isa;
  return generic::attentionKernels;
}

}  // namespace winnow
