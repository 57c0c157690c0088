#include "attention/kernels.h"

namespace winnow {

const AttentionKernels& attentionKernelsOf(Isa isa) {
#if defined(__x86_64__) && !defined(WINNOW_NO_AVX512)
  if (isa == Isa::avx512) return avx512::attentionKernels;
#endif
#if defined(__x86_64__)
  if (isa == Isa::avx2) return avx2::attentionKernels;
#endif
  (void)isa;
  return generic::attentionKernels;
}

}  // namespace winnow
