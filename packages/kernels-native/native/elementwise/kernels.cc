#include "elementwise/kernels.h"

namespace winnow {

namespace generic {
extern const ElementwiseKernels kElementwise;
}
namespace avx2 {
extern const ElementwiseKernels kElementwise;
}
namespace avx512 {
extern const ElementwiseKernels kElementwise;
}

const ElementwiseKernels& elementwiseKernels(Isa isa) {
  switch (isa) {
#ifndef WINNOW_NO_AVX512
    case Isa::avx512: return avx512::kElementwise;
#endif
#ifndef WINNOW_NO_X86
    case Isa::avx2: return avx2::kElementwise;
#endif
    default: return generic::kElementwise;
  }
}

}  // namespace winnow
