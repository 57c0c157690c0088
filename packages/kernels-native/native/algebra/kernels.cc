#include "algebra/kernels.h"

namespace winnow {

namespace generic {
extern const AlgebraKernels kAlgebra;
}
namespace avx2 {
extern const AlgebraKernels kAlgebra;
}
namespace avx512 {
extern const AlgebraKernels kAlgebra;
}

const AlgebraKernels& algebraKernels(Isa isa) {
  switch (isa) {
#ifndef WINNOW_NO_AVX512
    case Isa::avx512: return avx512::kAlgebra;
#endif
#ifndef WINNOW_NO_X86
    case Isa::avx2: return avx2::kAlgebra;
#endif
    default: return generic::kAlgebra;
  }
}

}  // namespace winnow
