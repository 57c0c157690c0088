#include "base/bench.h"

#include <functional>
#include <memory>
#include <string>

#include "linear/compressed/test_weights.h"

using namespace winnow;
using namespace winnow::test;

namespace {

struct Size {
  size_t rows, in, out;
};

struct Candidate {
  std::string name;
  double bytes;
  /** Index of what `bytes` and time are compared with. */
  size_t baseline;
  std::vector<std::shared_ptr<void>> copies;
  std::function<void(const void*)> run;
  std::vector<double> seconds = {};
};

/** As many copies as leave no last-level cache a chance. */
template <class Weight>
std::vector<std::shared_ptr<void>> copiesOf(const Weight& weight, double bytes) {
  std::vector<std::shared_ptr<void>> copies;
  for (size_t i = 0; i < 2 || static_cast<double>(i) * bytes < 320e6; ++i) copies.push_back(std::make_shared<Weight>(weight));
  return copies;
}

/** A bitmap that can be copied: it points into its own arrays. */
struct OwnBitmap {
  Bitmap arrays;
  std::vector<float> scales;
  std::vector<int32_t> sums;
  PanelWeight view() const {
    PanelWeight weight = arrays.weight;
    weight.bitmap = arrays.bitmap.data();
    weight.values = arrays.values.data();
    weight.offsets = arrays.offsets.data();
    weight.scales = scales.data();
    weight.sums = sums.data();
    return weight;
  }
};

class Benchmark {
 public:
  Benchmark(Context& context, const Size& size) : context_(context), size_(size), x_(randomFloats(size.rows * size.in, 1)), y_(size.rows * size.out) {}

  void add(PanelType type) {
    const bool bf16 = type == PanelType::bf16;
    const DensePanels dense(context_, type, randomFloats(size_.in * size_.out, 2), size_.out, size_.in);
    const size_t baseline = candidates_.size();
    add(bf16 ? "bf16 dense" : "int8 dense", static_cast<double>(dense.data.size()), baseline, dense, [=](const DensePanels& weight) {
      if (!bf16) return linearPanels(context_, product(), weight.view());
      linear(context_, {x_.data(), size_.rows, size_.in, size_.out, Dtype::bf16, weight.data.data(), nullptr, y_.data(), false});
    });
    for (int percent : {0, 50, 70}) {
      const DensePanels pruned(context_, type, sparseFloats(size_.in * size_.out, percent / 100.0, 2), size_.out, size_.in);
      const OwnBitmap bitmap{Bitmap(context_, pruned, size_.out, size_.in), pruned.scales, pruned.sums};
      const std::string name = (bf16 ? "bf16 bitmap, zeros " : "int8 bitmap, zeros ") + std::to_string(percent) + "%";
      add(name, static_cast<double>(bitmap.arrays.bytes()), baseline, bitmap,
          [=](const OwnBitmap& weight) { linearPanels(context_, product(), weight.view()); });
    }
  }

  void addGroups(size_t keep, size_t of) {
    const Groups groups(context_, groupedFloats(size_.out, size_.in, keep, of, 2), size_.out, size_.in, keep, of);
    add("bf16 groups " + std::to_string(keep) + ":" + std::to_string(of), static_cast<double>(groups.bytes()), 0, groups,
        [=](const Groups& weight) { linearGroups(context_, product(), {keep, of, weight.values.data(), weight.places.data()}); });
  }

  /** Turn about, since other programs take time from some seconds and not from others. */
  void measure(size_t repetitions) {
    using Clock = std::chrono::steady_clock;
    for (size_t i = 0; i < repetitions; ++i)
      for (Candidate& candidate : candidates_) {
        const void* weight = candidate.copies[i % candidate.copies.size()].get();
        const Clock::time_point start = Clock::now();
        candidate.run(weight);
        candidate.seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
      }
  }

  void print() {
    for (Candidate& candidate : candidates_) std::sort(candidate.seconds.begin(), candidate.seconds.end());
    std::printf("rows %zu, in %zu, out %zu\n", size_.rows, size_.in, size_.out);
    for (const Candidate& candidate : candidates_) {
      const Candidate& baseline = candidates_[candidate.baseline];
      const double seconds = median(candidate), best = candidate.seconds.front(), smaller = baseline.bytes / candidate.bytes;
      const double faster = median(baseline) / seconds, bestFaster = baseline.seconds.front() / best;
      std::printf("  %-24s %.2f times as small; median %8.3f ms %6.1f GB/s %5.2f times as fast (%.2f of it); best %8.3f ms %6.1f GB/s %5.2f (%.2f)\n",
                  candidate.name.c_str(), smaller, seconds * 1e3, candidate.bytes / seconds * 1e-9, faster, faster / smaller, best * 1e3,
                  candidate.bytes / best * 1e-9, bestFaster, bestFaster / smaller);
    }
  }

 private:
  static double median(const Candidate& candidate) { return candidate.seconds[candidate.seconds.size() / 2]; }

  Product product() { return {x_.data(), size_.rows, size_.in, size_.out, nullptr, y_.data(), false}; }

  template <class Weight, class Run>
  void add(const std::string& name, double bytes, size_t baseline, const Weight& weight, const Run& run) {
    candidates_.push_back({name, bytes, baseline, copiesOf(weight, bytes), [run](const void* copy) { run(*static_cast<const Weight*>(copy)); }});
  }

  Context& context_;
  Size size_;
  std::vector<float> x_, y_;
  std::vector<Candidate> candidates_;
};

}  // namespace

/** Arguments: [threads] [instruction set] [in] [out] [rows] [repetitions]. */
int main(int argc, char** argv) {
  const bench::Arguments arguments = bench::parse(argc, argv);
  const auto number = [&](int i, int otherwise) { return static_cast<size_t>(argc > i ? std::atoi(argv[i]) : otherwise); };
  Context context(arguments.threads, arguments.isa);
  Benchmark benchmark(context, {number(5, 1), number(3, 4096), number(4, 4096)});
  std::printf("%d threads, %s\n", arguments.threads, isaName(arguments.isa).data());
  benchmark.add(PanelType::bf16);
  benchmark.addGroups(2, 4);
  benchmark.add(PanelType::int8);
  benchmark.measure(number(6, 41));
  benchmark.print();
  return 0;
}
