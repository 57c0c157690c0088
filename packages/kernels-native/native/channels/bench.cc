#include "channels/channels.h"

#include <cstring>

#include "base/bench.h"
#include "channels/kernels.h"
#include "linear/linear.h"

using namespace winnow;

namespace {

using Clock = std::chrono::steady_clock;

/** Together larger than any last-level cache, used in turn, as a decoder uses its layers. */
constexpr double kWorkingSet = 600e6;
constexpr int kRounds = 41;

struct Copies {
  size_t count;
  size_t bytes;
  AlignedBuffer memory;
  const uint8_t* data = nullptr;

  Copies(const void* matrix, size_t size) : count(static_cast<size_t>(kWorkingSet / static_cast<double>(size)) + 1), bytes((size + 63) / 64 * 64) {
    uint8_t* to = memory.reserve<uint8_t>(count * bytes);
    for (size_t i = 0; i < count; ++i) std::memcpy(to + i * bytes, matrix, size);
    data = to;
  }
  const void* at(size_t round) const { return data + round % count * bytes; }
};

struct Bench {
  size_t in, out;
  size_t rank;
  /** Kept shares of channels: alone, and beside the factors at the same traffic. */
  double share = 0.5, exactShare = 0.475;
};

/** Threshold above which `share` of |x| lies. */
float thresholdFor(const std::vector<float>& x, double share) {
  std::vector<float> magnitudes;
  for (float value : x) magnitudes.push_back(std::fabs(value));
  std::sort(magnitudes.begin(), magnitudes.end());
  const size_t below = x.size() - static_cast<size_t>(share * static_cast<double>(x.size()));
  return below == 0 ? -1.0f : magnitudes[below - 1];
}

bench::Timing timingOf(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  return {seconds[seconds.size() / 2], seconds.front()};
}

void benchmark(Context& context, const Bench& b) {
  const std::vector<float> x = test::randomFloats(b.in, 1);
  std::vector<float> out(b.out), gate(b.out);
  const std::vector<uint16_t> weight = test::toBf16(test::randomFloats(b.in * b.out, 2));
  const std::vector<uint16_t> inputs = test::toBf16(test::randomFloats(b.in * b.rank, 3)), outputs = test::toBf16(test::randomFloats(b.rank * b.out, 4));
  // The values do not matter for time, so one matrix serves as [out, in], [in, out] and panels.
  const Copies copies(weight.data(), weight.size() * 2);
  const float above = thresholdFor(x, b.share), aboveExact = thresholdFor(x, b.exactShare);
  const std::vector<float> scale(b.in, 1.0f);

  Selection half, exact, largest;
  half.thresholds = &above;
  exact.thresholds = &aboveExact;
  exact.scale = scale.data();
  largest.rule = Selection::Rule::largest;
  largest.keep = b.in / 2;
  const auto view = [&](size_t round, bool byChannels) { return MatrixView{Dtype::bf16, copies.at(round), b.in, b.out, byChannels, nullptr}; };
  const auto rows = [&](size_t round) { return DenseRowsTask{x.data(), 1, view(round, true), out.data(), false}; };
  const std::vector<float> gates = test::randomFloats(b.out, 5);
  const float zero = 0;
  Selection positive;
  positive.thresholds = &zero;

  const char* names[] = {"dense-panel16", "channels, threshold", "channels, largest", "channels + low rank", "channels, dense row", "gated rows"};
  std::vector<double> seconds[6];
  for (int round = 0; round < kRounds; ++round) {
    for (size_t which = 0; which < 6; ++which) {
      const size_t at = static_cast<size_t>(round) * 6 + which;
      if (which == 5) gate = gates;
      const Clock::time_point start = Clock::now();
      if (which == 0) linear(context, {x.data(), 1, b.in, b.out, Dtype::bf16, copies.at(at), nullptr, out.data(), false});
      if (which == 1) channelsLinear(context, {rows(at), 1, half, {}});
      if (which == 2) channelsLinear(context, {rows(at), 1, largest, {}});
      if (which == 3) channelsLinear(context, {rows(at), 1, exact, {Dtype::bf16, b.rank, inputs.data(), outputs.data()}});
      if (which == 4) channelsLinear(context, {rows(at), 0, half, {}});
      // relu leaves half of the gates.
      if (which == 5) gatedLinear(context, {x.data(), gate.data(), view(at, false), positive, Activation::relu, out.data()});
      seconds[which].push_back(std::chrono::duration<double>(Clock::now() - start).count());
    }
  }
  std::printf("in %zu out %zu rank %zu, %zu copies\n", b.in, b.out, b.rank, copies.count);
  const bench::Timing dense = timingOf(seconds[0]);
  for (size_t which = 0; which < 6; ++which) {
    const bench::Timing time = timingOf(seconds[which]);
    std::printf("  %-20s median %8.1f us, %.2f times as fast; best %8.1f us, %.2f times\n", names[which], time.median * 1e6, dense.median / time.median,
                time.best * 1e6, dense.best / time.best);
  }
  Selected selected;
  const bench::Timing choose = bench::measure([&] { select(context, half, x.data(), b.in, selected); }, 0.05);
  const bench::Timing chooseLargest = bench::measure([&] { select(context, largest, x.data(), b.in, selected); }, 0.05);
  std::printf("  of which choosing: threshold %.1f us, largest %.1f us\n", choose.median * 1e6, chooseLargest.median * 1e6);
}

}  // namespace

/** Arguments: [threads] [instruction set]. */
int main(int argc, char** argv) {
  const bench::Arguments arguments = bench::parse(argc, argv);
  Context context(arguments.threads, arguments.isa);
  std::printf("%d threads, %s\n", arguments.threads, isaName(arguments.isa).data());
  // Ranks that R-Sparse allows at half the traffic when 0.95 of it goes to exact channels.
  benchmark(context, {4096, 4096, 51});
  benchmark(context, {4096, 14336, 80});
  return 0;
}
