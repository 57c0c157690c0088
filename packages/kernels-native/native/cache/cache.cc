#include "cache/cache.h"

#include <algorithm>
#include <cstring>

#include "cache/bf16.h"

namespace winnow {
namespace {

/** Tokens per task: enough work to be worth a task, small enough that one head of a long prompt uses all threads. */
constexpr size_t kTokensPerTask = 512;

char* tokenOf(const CacheTarget& x, size_t head, size_t token) {
  return static_cast<char*>(x.data) + (head * x.headStride + token * x.tokenStride) * bytesOf(x.dtype);
}

const char* tokenOf(const CacheView& x, size_t head, size_t token) {
  return static_cast<const char*>(x.data) + (head * x.headStride + token * x.tokenStride) * bytesOf(x.dtype);
}

void storeToken(const float* source, size_t headDim, Dtype dtype, char* target) {
  if (dtype == Dtype::f32) {
    std::memcpy(target, source, headDim * sizeof(float));
    return;
  }
  uint16_t* bits = reinterpret_cast<uint16_t*>(target);
  for (size_t c = 0; c < headDim; ++c) bits[c] = toBf16(source[c]);
}

}  // namespace

void storeTokens(Context& context, const HeadView<const float>& source, const CacheTarget& target, size_t start) {
  const size_t chunks = (source.length + kTokensPerTask - 1) / kTokensPerTask;
  context.pool.parallel(source.heads * chunks, [&](size_t task, int) {
    const size_t head = task / chunks;
    const size_t first = task % chunks * kTokensPerTask;
    const size_t end = std::min(source.length, first + kTokensPerTask);
    for (size_t token = first; token < end; ++token) {
      const float* from = source.data + head * source.headStride + token * source.tokenStride;
      storeToken(from, source.headDim, target.dtype, tokenOf(target, head, start + token));
    }
  });
}

void gatherTokens(Context& context, const CacheView& x, const int32_t* kept, const int32_t* offsets, const CacheTarget& target) {
  const size_t bytes = x.headDim * bytesOf(x.dtype);
  context.pool.parallel(x.heads, [&](size_t head, int) {
    const int32_t first = offsets[head];
    for (int32_t i = first; i < offsets[head + 1]; ++i) {
      std::memmove(tokenOf(target, head, static_cast<size_t>(i - first)), tokenOf(x, head, static_cast<size_t>(kept[i])), bytes);
    }
  });
}

}  // namespace winnow
