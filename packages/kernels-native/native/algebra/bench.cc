#include "algebra/algebra.h"

#include "base/bench.h"

using namespace winnow;

namespace {

void print(const char* name, const bench::Timing& timing, double flops) {
  std::printf("%-40s median %9.4f s, best %9.4f s, %7.1f GFLOP/s\n", name, timing.median, timing.best, flops / timing.median * 1e-9);
}

double product(size_t a, size_t b, size_t c) { return static_cast<double>(a) * static_cast<double>(b) * static_cast<double>(c); }

void benchGram(Context& context, size_t rows, size_t width) {
  const std::vector<float> x = test::randomFloats(rows * width, 1);
  std::vector<float> gram(width * width);
  char name[80];
  std::snprintf(name, sizeof name, "accumulateGram %zu x %zu", rows, width);
  print(name, bench::measure([&] { accumulateGram(context, x.data(), rows, width, gram.data()); }), product(rows, width, width));
}

void benchMultiply(Context& context, size_t m, size_t n, size_t k) {
  const std::vector<float> a = test::randomFloats(m * k, 1), b = test::randomFloats(k * n, 2);
  std::vector<float> c(m * n);
  char name[80];
  std::snprintf(name, sizeof name, "multiplyAdd %zu x %zu x %zu", m, n, k);
  print(name, bench::measure([&] { multiplyAdd(context, {m, n, k, -1, a.data(), k, b.data(), n, c.data(), n}); }), 2 * product(m, n, k));
}

/** H of twice as many samples as columns, as calibration gives it. */
void benchCholesky(Context& context, size_t n) {
  const std::vector<float> x = test::randomFloats(2 * n * n, 1);
  std::vector<float> h(n * n), out(n * n);
  accumulateGram(context, x.data(), 2 * n, n, h.data());
  char name[80];
  std::snprintf(name, sizeof name, "inverseCholesky %zu", n);
  ptrdiff_t failed = -1;
  print(name, bench::measure([&] { failed = inverseCholesky(context, h.data(), n, 0.01 * static_cast<double>(h[0]), out.data()); }),
        2.0 / 3 * product(n, n, n));
  if (failed >= 0) std::printf("no positive pivot in column %td\n", failed);
}

/** Independent uniform entries: the slowest decay of singular values that there is. */
void benchSvd(Context& context, size_t rows, size_t columns, size_t rank) {
  const std::vector<float> a = test::randomFloats(rows * columns, 1);
  std::vector<float> u(rows * rank), s(rank), v(columns * rank);
  char name[80];
  std::snprintf(name, sizeof name, "truncatedSvd %zu x %zu rank %zu", rows, columns, rank);
  const bench::Timing timing = bench::measure([&] { truncatedSvd(context, {a.data(), rows, columns, rank, u.data(), s.data(), v.data()}); }, 0);
  std::printf("%-40s median %9.4f s, best %9.4f s\n", name, timing.median, timing.best);
}

}  // namespace

/** Arguments: [threads] [instruction set] [largest n]. */
int main(int argc, char** argv) {
  const bench::Arguments arguments = bench::parse(argc, argv);
  const size_t largest = argc > 3 ? static_cast<size_t>(std::atoi(argv[3])) : 4096;
  Context context(arguments.threads, arguments.isa);
  std::printf("%d threads, %s\n", arguments.threads, isaName(arguments.isa).data());
  for (size_t width : {384, 1024, 4096})
    if (width <= largest) benchGram(context, 2048, width);
  for (size_t k : {1, 128, 4096})
    if (k <= largest) benchMultiply(context, std::min<size_t>(largest, 4096), std::min<size_t>(largest, 4096), k);
  for (size_t n : {384, 1024, 4096})
    if (n <= largest) benchCholesky(context, n);
  benchSvd(context, 384, 384, 16);
  benchSvd(context, 1024, 1024, 1024);
  if (largest < 4096) return 0;
  benchSvd(context, 4096, 4096, 51);
  benchSvd(context, 4096, 14336, 80);
  return 0;
}
