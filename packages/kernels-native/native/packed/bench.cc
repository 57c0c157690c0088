#include "packed/packed.h"

#include "base/bench.h"

using namespace winnow;

namespace {

constexpr size_t kKvHeads = 8, kHeadDim = 128;
/** Tokens that are not packed. */
constexpr size_t kTail = 32;

/** Rows that keep `kept` random elements each. */
struct Packed {
  Packed(const CacheView& source, size_t keptElements)
      : rows(source.heads * source.length), kept(keptElements), bitmap(rows * source.headDim / 8), values(rows * kept * bytesOf(source.dtype)) {
    std::vector<uint16_t> indices(rows * kept);
    test::Random random(5);
    for (size_t row = 0, i = 0; row < rows; ++row)
      for (size_t c = 0, left = kept; c < source.headDim; ++c)
        if (random.below(source.headDim - c) < left) {
          indices[i++] = static_cast<uint16_t>(c);
          --left;
        }
    Context context(1, Isa::generic);
    packTokens(context, source, indices.data(), {source.length, kept, bitmap.data(), values.data()}, 0);
    view = {source.dtype, source.heads, source.length, source.length, source.headDim, kept, bitmap.data(), values.data()};
  }

  size_t rows, kept;
  std::vector<uint8_t> bitmap, values;
  PackedView view;
};

struct Run {
  double seconds;
  double bytes;
};

/** Runs in turn, so that whatever else the machine does meets all of them; medians. */
std::vector<Run> measureInTurn(Context& context, const std::vector<DecodeTask>& tasks) {
  using Clock = std::chrono::steady_clock;
  std::vector<std::vector<double>> times(tasks.size());
  std::vector<Run> runs(tasks.size());
  for (int turn = 0; turn < 31; ++turn)
    for (size_t i = 0; i < tasks.size(); ++i) {
      AttentionCost cost;
      const Clock::time_point start = Clock::now();
      decodeAttention(context, tasks[i], cost);
      times[i].push_back(std::chrono::duration<double>(Clock::now() - start).count());
      runs[i].bytes = static_cast<double>(cost.bytesRead);
    }
  for (size_t i = 0; i < tasks.size(); ++i) {
    std::sort(times[i].begin(), times[i].end());
    runs[i].seconds = times[i][times[i].size() / 2];
  }
  return runs;
}

CacheView viewOf(Dtype dtype, const void* data, size_t length, size_t capacity) {
  return {dtype, data, kKvHeads, length, kHeadDim, capacity * kHeadDim, kHeadDim};
}

void compare(Context& context, Dtype dtype, size_t heads, size_t n) {
  const size_t elements = kKvHeads * n * kHeadDim, packedCount = n - kTail;
  const std::vector<float> q = test::randomFloats(heads * kHeadDim, 1), k = test::randomFloats(elements, 2), v = test::randomFloats(elements, 3);
  const std::vector<uint16_t> kHalf = test::toBf16(k), vHalf = test::toBf16(v);
  std::vector<float> out(q.size());
  const bool half = dtype == Dtype::bf16;
  const char *keys = static_cast<const char*>(half ? static_cast<const void*>(kHalf.data()) : k.data());
  const char *values = static_cast<const char*>(half ? static_cast<const void*>(vHalf.data()) : v.data());
  DecodeTask dense{};
  dense.q = {q.data(), heads, 1, kHeadDim, kHeadDim, kHeadDim};
  dense.out = {out.data(), heads, 1, kHeadDim, kHeadDim, kHeadDim};
  dense.scale = 0.088f;
  dense.k = viewOf(dtype, keys, n, n);
  dense.v = viewOf(dtype, values, n, n);
  std::vector<DecodeTask> tasks{dense};
  std::vector<PackedCache> caches;
  std::vector<Packed> packed;
  packed.reserve(6);
  const std::vector<size_t> counts{38, 64, 128};
  for (size_t kept : counts) {
    packed.emplace_back(viewOf(dtype, keys, packedCount, n), kept);
    packed.emplace_back(viewOf(dtype, values, packedCount, n), kept);
  }
  for (size_t i = 0; i < counts.size(); ++i) caches.push_back({packed[2 * i].view, packed[2 * i + 1].view});
  const size_t skipped = packedCount * kHeadDim * bytesOf(dtype);
  for (const PackedCache& cache : caches) {
    DecodeTask task = dense;
    task.packed = &cache;
    task.k = viewOf(dtype, keys + skipped, kTail, n);
    task.v = viewOf(dtype, values + skipped, kTail, n);
    tasks.push_back(task);
  }
  const std::vector<Run> runs = measureInTurn(context, tasks);
  std::printf("%-4s h %zu/%zu d %zu n %zu dense: %8.0f us, %5.1f MB, %5.1f GB/s\n", half ? "bf16" : "f32", heads, kKvHeads, kHeadDim, n,
              runs[0].seconds * 1e6, runs[0].bytes * 1e-6, runs[0].bytes / runs[0].seconds * 1e-9);
  for (size_t i = 0; i < counts.size(); ++i) {
    const double time = runs[i + 1].seconds / runs[0].seconds, bytes = runs[i + 1].bytes / runs[0].bytes;
    std::printf("  kept %3zu: %8.0f us, time %.3f and bytes %.3f of dense, quotient %.2f\n", counts[i], runs[i + 1].seconds * 1e6, time, bytes,
                time / bytes);
  }
}

}  // namespace

/** Arguments: [threads] [instruction set] [n]. */
int main(int argc, char** argv) {
  const bench::Arguments arguments = bench::parse(argc, argv);
  const size_t n = argc > 3 ? static_cast<size_t>(std::atoi(argv[3])) : 32768;
  Context context(arguments.threads, arguments.isa);
  std::printf("%d threads, %s\n", arguments.threads, isaName(arguments.isa).data());
  for (Dtype dtype : {Dtype::bf16, Dtype::f32})
    for (size_t heads : {24, 32}) compare(context, dtype, heads, n);
  return 0;
}
