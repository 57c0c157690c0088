#include "channels/kernels.h"

namespace winnow {

const ChannelKernels& channelKernels(Isa isa) {
#ifndef WINNOW_NO_AVX512
  if (isa == Isa::avx512) return avx512::channelKernels;
#endif
#ifndef WINNOW_NO_X86
  if (isa == Isa::avx2) return avx2::channelKernels;
#endif
  (void)isa;
  return generic::channelKernels;
}

}  // namespace winnow
