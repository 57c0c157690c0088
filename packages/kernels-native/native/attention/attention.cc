#include "attention/kernels.h"

namespace winnow {

const AttentionKernels& attentionKernelsOf(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return avx512::attentionKernels;
  if (isa == Isa::avx2) return avx2::attentionKernels;
#endif
  (void)isa;
  return generic::attentionKernels;
}

}  // namespace winnow
