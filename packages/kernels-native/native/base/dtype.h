#pragma once

#include <cstddef>

namespace winnow {

/** Storage type of weights and caches. bf16 is the upper half of a float32. */
enum class Dtype { f32, bf16 };

static inline size_t bytesOf(Dtype dtype) { return dtype == Dtype::bf16 ? 2 : 4; }

}  // namespace winnow
