#include "channels/channels.h"

#include <algorithm>

#include "base/flush_denormals.h"
#include "channels/kernels.h"

namespace winnow {
namespace {

/** Columns of the factors that one task sums: their rows are short. */
constexpr size_t kRanksPerTask = 64;

size_t ceilDiv(size_t x, size_t y) { return (x + y - 1) / y; }

/**
 * Every task owns some columns of out, in whole cache lines. Two tasks per thread even out the load, but pieces of a channel below kLongPiece are slow to
 * fetch: then one task per thread.
 */
size_t columnsPerTask(Context& context, size_t width) {
  constexpr size_t kLongPiece = 512, kLeast = 128, kLine = 64;
  const size_t threads = static_cast<size_t>(context.pool.threads());
  const size_t columns = std::max(ceilDiv(width, 2 * threads), std::min(kLongPiece, ceilDiv(width, threads)));
  return std::max(kLeast, ceilDiv(columns, kLine) * kLine);
}

/** `sum` over columns [begin, end), its `out` starting at bias, at its old value, or at both. */
void sumColumns(Context& context, ChannelSum sum, size_t begin, size_t end, const float* bias, bool accumulate) {
  const FlushDenormals mode;
  for (size_t o = begin; o < end; ++o) {
    const float old = accumulate ? sum.out[o] : 0.0f;
    sum.out[o] = bias == nullptr ? old : accumulate ? bias[o] + old : bias[o];
  }
  sum.begin = begin;
  sum.end = end;
  channelKernels(context.isa).sumChannels(sum);
}

/** What goes through the factors: the channels that are neither selected nor 0, and `inputs^T` times them. */
struct Projection {
  Selected rest{};
  float* ranks = nullptr;
};

Projection projectionOf(Context& context, const Selected& selected, size_t size, size_t rank) {
  const size_t room = ceilDiv(size, 16) * 16 + 16;
  float* memory = context.partials.reserve<float>(2 * room + rank);
  Projection projection{{0, reinterpret_cast<int32_t*>(memory), memory + room, selected.rest}, memory + 2 * room};
  const float zero = 0;
  Selection nonZero;
  nonZero.thresholds = &zero;
  projection.rest.count = static_cast<size_t>(channelKernels(context.isa).selectAbove(nonZero, selected.rest, size, projection.rest));
  return projection;
}

ReadBytes sparseRow(Context& context, const ChannelsTask& task, const float* x, float* out) {
  const MatrixView& weight = task.rows.weight;
  const LowRank& factors = task.lowRank;
  Selected selected;
  if (!select(context, task.selection, x, weight.inFeatures, selected)) return {0, 0};
  Projection projection;
  if (factors.rank > 0) projection = projectionOf(context, selected, weight.inFeatures, factors.rank);
  const Selected& rest = projection.rest;

  const ChannelSum exact{weight.dtype, weight.data, weight.outFeatures, selected.indices, selected.values, selected.count, out, 0, 0};
  const ChannelSum inputs{factors.dtype, factors.inputs, factors.rank, rest.indices, rest.values, rest.count, projection.ranks, 0, 0};
  const ChannelSum outputs{factors.dtype, factors.outputs, weight.outFeatures, nullptr, projection.ranks, factors.rank, out, 0, 0};
  const size_t step = columnsPerTask(context, weight.outFeatures), tasks = ceilDiv(weight.outFeatures, step);
  const size_t rankTasks = rest.count == 0 ? 0 : ceilDiv(factors.rank, kRanksPerTask);
  const auto endOf = [&](size_t begin) { return std::min(begin + step, weight.outFeatures); };

  context.pool.parallel(rankTasks + tasks, [&](size_t i, int) {
    if (i < rankTasks) return sumColumns(context, inputs, i * kRanksPerTask, std::min((i + 1) * kRanksPerTask, factors.rank), nullptr, false);
    const size_t begin = (i - rankTasks) * step;
    sumColumns(context, exact, begin, endOf(begin), weight.bias, task.rows.accumulate);
  });
  const size_t exactBytes = selected.count * weight.outFeatures * bytesOf(weight.dtype) + weight.biasBytes();
  if (rankTasks == 0) return {exactBytes};
  context.pool.parallel(tasks, [&](size_t i, int) { sumColumns(context, outputs, i * step, endOf(i * step), nullptr, true); });
  return {exactBytes + (rest.count + weight.outFeatures) * factors.rank * bytesOf(factors.dtype)};
}

}  // namespace

void sumListed(Context& context, const MatrixView& weight, const Selected& list, float* out, bool accumulate) {
  const ChannelSum all{weight.dtype, weight.data, weight.outFeatures, list.indices, list.values, list.count, out, 0, 0};
  const size_t step = columnsPerTask(context, weight.outFeatures);
  context.pool.parallel(ceilDiv(weight.outFeatures, step), [&](size_t i, int) {
    sumColumns(context, all, i * step, std::min((i + 1) * step, weight.outFeatures), weight.bias, accumulate);
  });
}

ReadBytes channelsLinear(Context& context, const ChannelsTask& task) {
  const DenseRowsTask& rows = task.rows;
  DenseRowsTask dense = rows;
  dense.rows = rows.rows - task.sparseRows;
  ReadBytes total = denseRows(context, dense);
  for (size_t row = dense.rows; row < rows.rows; ++row) {
    const ReadBytes read = sparseRow(context, task, rows.x + row * rows.weight.inFeatures, rows.out + row * rows.weight.outFeatures);
    if (read.badRow >= 0) return {0, static_cast<ptrdiff_t>(row)};
    total.bytes += read.bytes;
  }
  return total;
}

}  // namespace winnow
