#include "primitives/primitives.h"

#include <algorithm>
#include <atomic>

#include "primitives/kernels.h"

namespace winnow {
namespace {

/** Elements per task: below that, waking a thread costs more than it saves. */
constexpr size_t kElementsPerTask = 8192;

size_t ceilDiv(size_t a, size_t b) { return (a + b - 1) / b; }

const char* tokenOf(const void* x, Dtype dtype, size_t token, size_t stride) {
  return static_cast<const char*>(x) + token * stride * bytesOf(dtype);
}

void sumShifted(Context& context, const float* x, size_t rows, size_t columns, bool skewed, float* out) {
  const PrimitiveKernels& kernels = primitiveKernels(context.isa);
  context.pool.parallel(ceilDiv(columns, kColumnsPerStrip), [&](size_t task, int) {
    double sums[kColumnsPerStrip];
    const size_t begin = task * kColumnsPerStrip;
    const size_t end = std::min(columns, begin + kColumnsPerStrip);
    kernels.sumStrip({x, rows, columns, skewed, begin, end, sums});
    for (size_t p = begin; p < end; ++p) out[skewed ? columns - 1 - p : p] = static_cast<float>(sums[p - begin]);
  });
}

}  // namespace

void scores(Context& context, const ScoreTask& task) {
  const PrimitiveKernels& kernels = primitiveKernels(context.isa);
  const size_t scratch = ceilDiv(task.headDim, 16) * 16 * kKeysPerBlock;
  for (AlignedBuffer& buffer : context.threadScratch) buffer.reserve<float>(scratch);
  context.pool.parallel(ceilDiv(task.keys, kKeysPerBlock), [&](size_t block, int thread) {
    const size_t first = block * kKeysPerBlock;
    kernels.scoreBlock({task.q, task.queries, task.queryStride, task.dtype, tokenOf(task.k, task.dtype, first, task.keyStride),
                        std::min(kKeysPerBlock, task.keys - first), task.keyStride, task.headDim, task.scale,
                        task.causalOffset - static_cast<int64_t>(first), task.out + first, task.keys,
                        context.threadScratch[static_cast<size_t>(thread)].reserve<float>(scratch)});
  });
}

ptrdiff_t softmaxRows(Context& context, float* x, size_t rows, size_t columns) {
  if (columns == 0) return -1;
  const PrimitiveKernels& kernels = primitiveKernels(context.isa);
  const size_t rowsPerTask = ceilDiv(kElementsPerTask, columns);
  std::atomic<size_t> firstBad{rows};
  context.pool.parallel(ceilDiv(rows, rowsPerTask), [&](size_t task, int) {
    const size_t end = std::min(rows, (task + 1) * rowsPerTask);
    for (size_t row = task * rowsPerTask; row < end; ++row) {
      if (kernels.softmaxRow(x + row * columns, columns)) continue;
      for (size_t old = firstBad; row < old && !firstBad.compare_exchange_weak(old, row);) {
      }
    }
  });
  return firstBad == rows ? -1 : static_cast<ptrdiff_t>(firstBad.load());
}

void columnSums(Context& context, const float* x, size_t rows, size_t columns, float* out) {
  sumShifted(context, x, rows, columns, false, out);
}

/** Position p of the skewed sum is distance columns - 1 - p from the causal diagonal, which ends in the last column of the last row. */
void diagonalSums(Context& context, const float* x, size_t rows, size_t columns, float* out) {
  sumShifted(context, x, rows, columns, true, out);
}

void poolMean(Context& context, const PoolTask& task) {
  const PrimitiveKernels& kernels = primitiveKernels(context.isa);
  const size_t blocksPerTask = ceilDiv(kElementsPerTask, task.blockSize * task.headDim);
  context.pool.parallel(ceilDiv(task.blocks, blocksPerTask), [&](size_t t, int) {
    const size_t end = std::min(task.blocks, (t + 1) * blocksPerTask);
    for (size_t block = t * blocksPerTask; block < end; ++block) {
      const size_t first = std::min(task.length, block * task.blockSize);
      const size_t tokens = std::min(task.blockSize, task.length - first);
      kernels.sumTokens({task.dtype, tokenOf(task.head, task.dtype, first, task.tokenStride), tokens, task.tokenStride, task.headDim,
                         1.0 / static_cast<double>(task.blockSize), task.out + block * task.headDim});
    }
  });
}

}  // namespace winnow
