#include "primitives/kernels.h"

namespace winnow {

namespace generic {
extern const PrimitiveKernels kPrimitives;
}
namespace avx2 {
extern const PrimitiveKernels kPrimitives;
}
namespace avx512 {
extern const PrimitiveKernels kPrimitives;
}

const PrimitiveKernels& primitiveKernels(Isa isa) {
  switch (isa) {
#ifndef WINNOW_NO_AVX512
    case Isa::avx512: return avx512::kPrimitives;
#endif
#ifndef WINNOW_NO_X86
    case Isa::avx2: return avx2::kPrimitives;
#endif
    default: return generic::kPrimitives;
  }
}

}  // namespace winnow
