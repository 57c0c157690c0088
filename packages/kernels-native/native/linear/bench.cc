#include "linear/linear.h"

#include "base/bench.h"

using namespace winnow;

namespace {

void benchmark(Context& context, Dtype dtype, size_t rows, size_t in, size_t out) {
  const std::vector<float> x = test::randomFloats(rows * in, 1), weight = test::randomFloats(out * in, 2);
  std::vector<float> y(rows * out);
  AlignedBuffer buffer;
  const size_t bytes = (out + 15) / 16 * 16 * ((in + 1) / 2 * 2) * bytesOf(dtype);
  uint8_t* packed = buffer.reserve<uint8_t>(bytes);
  packWeight(context, {Dtype::f32, weight.data(), out, in, dtype, packed});
  const LinearTask task{x.data(), rows, in, out, dtype, packed, nullptr, y.data(), false};
  const bench::Timing timing = bench::measure([&] { linear(context, task); });
  const double flops = 2.0 * static_cast<double>(rows * in * out);
  std::printf("%-5s rows %4zu in %5zu out %5zu: median %9.1f us, best %9.1f us, %7.1f GFLOP/s, weight %6.1f GB/s\n",
              dtype == Dtype::bf16 ? "bf16" : "f32", rows, in, out, timing.median * 1e6, timing.best * 1e6, flops / timing.median * 1e-9,
              static_cast<double>(bytes) / timing.median * 1e-9);
}

}  // namespace

/** Arguments: [threads] [instruction set]. */
int main(int argc, char** argv) {
  const bench::Arguments arguments = bench::parse(argc, argv);
  Context context(arguments.threads, arguments.isa);
  std::printf("%d threads, %s\n", arguments.threads, isaName(arguments.isa).data());
  for (Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    for (size_t rows : {1, 4, 512}) {
      benchmark(context, dtype, rows, 384, 384);
      benchmark(context, dtype, rows, 384, 1024);
      benchmark(context, dtype, rows, 1024, 384);
      benchmark(context, dtype, rows, 2048, 2048);
    }
    benchmark(context, dtype, 1, 4096, 16384);
  }
  return 0;
}
