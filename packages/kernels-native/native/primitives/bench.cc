#include "base/bench.h"

#include "primitives/primitives.h"

using namespace winnow;

namespace {

constexpr size_t kQueries = 64, kKeys = 32768, kHeadDim = 64;

template <class Fn>
void time(const char* name, const Fn& fn) {
  const bench::Timing timing = bench::measure(fn);
  std::printf("%-44s median %9.1f us, best %9.1f us\n", name, timing.median * 1e6, timing.best * 1e6);
}

void estimation(Context& context, Dtype dtype) {
  const std::vector<float> q = test::randomFloats(kQueries * kHeadDim, 1), k = test::randomFloats(kKeys * kHeadDim, 2);
  const std::vector<uint16_t> halves = test::toBf16(k);
  const void* keys = dtype == Dtype::f32 ? static_cast<const void*>(k.data()) : halves.data();
  std::vector<float> x(kQueries * kKeys), out(kKeys);
  const ScoreTask task{q.data(), kQueries, kHeadDim, dtype, keys, kKeys, kHeadDim, kHeadDim, 0.125f, kKeys - kQueries, x.data()};
  time(dtype == Dtype::f32 ? "scores 64 x 32768 x 64, f32 keys" : "scores 64 x 32768 x 64, bf16 keys", [&] { scores(context, task); });
  if (dtype == Dtype::bf16) return;
  time("scores + softmaxRows", [&] {
    scores(context, task);
    softmaxRows(context, x.data(), kQueries, kKeys);
  });
  time("columnSums 64 x 32768", [&] { columnSums(context, x.data(), kQueries, kKeys, out.data()); });
  time("diagonalSums 64 x 32768", [&] { diagonalSums(context, x.data(), kQueries, kKeys, out.data()); });
}

void selection(Context& context) {
  const size_t rows = 6, k = 512;
  const std::vector<float> values = test::randomFloats(rows * kKeys, 3);
  std::vector<float> skewed = values;
  for (float& value : skewed) value = std::exp(12.0f * value);
  std::vector<int32_t> out(kKeys);
  time("topKRows 6 x (32768 choose 512), uniform", [&] { topKRows(context, values.data(), rows, kKeys, k, out.data()); });
  time("topKRows 6 x (32768 choose 512), log-uniform", [&] { topKRows(context, skewed.data(), rows, kKeys, k, out.data()); });
  time("prefixMass 32768, mass 0.95", [&] { prefixMass(context, skewed.data(), kKeys, 0.95, out.data()); });
}

}  // namespace

/** Arguments: [threads] [instruction set]. */
int main(int argc, char** argv) {
  const bench::Arguments arguments = bench::parse(argc, argv);
  Context context(arguments.threads, arguments.isa);
  std::printf("%d threads, %s\n", arguments.threads, isaName(arguments.isa).data());
  estimation(context, Dtype::f32);
  estimation(context, Dtype::bf16);
  selection(context);
  return 0;
}
