#include "attention/attention.h"

#include <string>

#include "base/bench.h"

using namespace winnow;

namespace {

struct Model {
  size_t heads, kvHeads, headDim;
};

struct Inputs {
  Inputs(const Model& model, Dtype type, size_t length, size_t queries)
      : m(model),
        dtype(type),
        n(length),
        q(test::randomFloats(m.heads * queries * m.headDim, 1)),
        k(test::randomFloats(m.kvHeads * n * m.headDim, 2)),
        v(test::randomFloats(m.kvHeads * n * m.headDim, 3)),
        kHalf(test::toBf16(k)),
        vHalf(test::toBf16(v)),
        out(q.size()) {}

  CacheView view(const std::vector<float>& full, const std::vector<uint16_t>& half) const {
    const void* data = dtype == Dtype::bf16 ? static_cast<const void*>(half.data()) : full.data();
    return {dtype, data, m.kvHeads, n, m.headDim, n * m.headDim, m.headDim};
  }

  Model m;
  Dtype dtype;
  size_t n;
  std::vector<float> q, k, v;
  std::vector<uint16_t> kHalf, vHalf;
  std::vector<float> out;
};

/** Ranges mask whose blocks keep given ranges and columns; owns the arrays. */
struct Ranges {
  std::vector<int32_t> rangeOffsets{0}, ranges, columnOffsets{0}, columns;
  std::vector<uint8_t> flags;

  void range(size_t begin, size_t end) {
    if (!ranges.empty() && flags.size() > static_cast<size_t>(rangeOffsets.back()) && ranges.back() == static_cast<int32_t>(begin)) {
      ranges.back() = static_cast<int32_t>(end);
      return;
    }
    ranges.push_back(static_cast<int32_t>(begin));
    ranges.push_back(static_cast<int32_t>(end));
    flags.push_back(0);
  }
  void endBlock() {
    rangeOffsets.push_back(static_cast<int32_t>(flags.size()));
    columnOffsets.push_back(static_cast<int32_t>(columns.size()));
  }
  PrefillMask mask() const {
    PrefillMask mask;
    mask.form = MaskForm::ranges;
    mask.rangeOffsets = rangeOffsets.data();
    mask.ranges = ranges.data();
    mask.rangeFlags = flags.data();
    mask.columnOffsets = columnOffsets.data();
    mask.columns = columns.data();
    return mask;
  }
};

/** Each 64 x 64 block kept with probability `density`, the diagonal always. */
Ranges randomBlocks(size_t n, double density) {
  Ranges r;
  test::Random random(7);
  for (size_t a = 0; a * 64 < n; ++a) {
    for (size_t b = 0; b <= a; ++b)
      if (b == a || static_cast<double>(random.below(1 << 20)) < density * (1 << 20)) r.range(b * 64, b * 64 + 64);
    r.endBlock();
  }
  return r;
}

/** What `columns` vertical lines and `slashes` slash blocks lower to. */
Ranges verticalSlash(size_t n, size_t columns, size_t slashes) {
  Ranges r;
  test::Random random(9);
  std::vector<bool> vertical(n), slash(n / 64);
  for (size_t i = 0; i < columns; ++i) vertical[random.below(n)] = true;
  slash[0] = true;
  for (size_t i = 1; i < slashes; ++i) slash[random.below(n / 64)] = true;
  for (size_t a = 0; a * 64 < n; ++a) {
    for (size_t b = 0; b <= a; ++b) {
      if (slash[a - b]) {
        r.range(b * 64, b * 64 + 64);
        continue;
      }
      for (size_t key = b * 64; key < b * 64 + 64; ++key)
        if (vertical[key]) r.columns.push_back(static_cast<int32_t>(key));
    }
    r.endBlock();
  }
  return r;
}

double seconds(Context& context, Inputs& in, const PrefillMask& mask, AttentionCost& cost) {
  PrefillTask task{};
  task.q = {in.q.data(), in.m.heads, in.n, in.m.headDim, in.n * in.m.headDim, in.m.headDim};
  task.out = {in.out.data(), in.m.heads, in.n, in.m.headDim, in.n * in.m.headDim, in.m.headDim};
  task.k = in.view(in.k, in.kHalf);
  task.v = in.view(in.v, in.vHalf);
  task.scale = 0.125f;
  task.masks = {mask};
  return bench::measure([&] { prefillAttention(context, task, cost); }, 0.3).best;
}

void prefill(Context& context, const Model& model, Dtype dtype, size_t n, bool masks) {
  Inputs in(model, dtype, n, n);
  AttentionCost cost;
  const char* name = dtype == Dtype::bf16 ? "bf16" : "f32";
  const double length = static_cast<double>(n), cells = length * (length + 1) / 2 * static_cast<double>(model.heads);
  const double perCell = 4 * static_cast<double>(model.headDim);
  const double dense = seconds(context, in, {}, cost);
  std::printf("prefill %-4s h %zu/%zu d %3zu n %5zu dense: %9.2f ms, %6.1f GFLOP/s per thread\n", name, model.heads, model.kvHeads, model.headDim,
              n, dense * 1e3, cells * perCell / dense * 1e-9 / context.pool.threads());
  if (!masks) return;
  const auto report = [&](const std::string& what, const PrefillMask& mask) {
    const double time = seconds(context, in, mask, cost);
    std::printf("  %-28s %9.2f ms, cells %.4f of dense, time %.4f of dense\n", what.c_str(), time * 1e3,
                static_cast<double>(cost.cellsComputed) / cells, time / dense);
  };
  for (double density : {0.1, 0.25, 0.5}) report("random blocks " + std::to_string(density).substr(0, 4), randomBlocks(n, density).mask());
  for (size_t slashes : {1, 20, 60}) {
    const Ranges ranges = verticalSlash(n, 1000, slashes);
    report("1000 columns, " + std::to_string(slashes) + " slash blocks", ranges.mask());
  }
  PrefillMask band;
  band.form = MaskForm::band;
  band.bands[0] = {64, 1024, static_cast<int64_t>(n)};
  report("band 64 + 1024", band);
}

void decode(Context& context, const Model& model, Dtype dtype, size_t n, size_t listLength) {
  Inputs in(model, dtype, n, 1);
  DecodeTask task{};
  task.q = {in.q.data(), in.m.heads, 1, in.m.headDim, in.m.headDim, in.m.headDim};
  task.out = {in.out.data(), in.m.heads, 1, in.m.headDim, in.m.headDim, in.m.headDim};
  task.k = in.view(in.k, in.kHalf);
  task.v = in.view(in.v, in.vHalf);
  task.scale = 0.125f;
  std::vector<int32_t> indices, offsets{0};
  for (size_t head = 0; listLength > 0 && head < model.heads; ++head) {
    test::Random random(head);
    size_t left = listLength;
    for (size_t key = 0; key < n; ++key)
      if (random.below(n - key) < left) {
        indices.push_back(static_cast<int32_t>(key));
        --left;
      }
    offsets.push_back(static_cast<int32_t>(indices.size()));
  }
  if (listLength > 0) {
    task.indices = indices.data();
    task.offsets = offsets.data();
  }
  AttentionCost cost;
  const bench::Timing timing = bench::measure([&] { decodeAttention(context, task, cost); }, 0.2);
  std::printf("decode  %-4s h %zu/%zu d %3zu n %5zu lists %5zu: median %8.1f us, best %8.1f us, %6.1f GB/s\n", dtype == Dtype::bf16 ? "bf16" : "f32",
              model.heads, model.kvHeads, model.headDim, n, listLength, timing.median * 1e6, timing.best * 1e6,
              static_cast<double>(cost.bytesRead) / timing.best * 1e-9);
}

}  // namespace

/** Arguments: [threads] [instruction set] [n]; masks are measured at the longest n. */
int main(int argc, char** argv) {
  const bench::Arguments arguments = bench::parse(argc, argv);
  std::vector<size_t> lengths{4096, 32768};
  if (argc > 3) lengths = {static_cast<size_t>(std::atoi(argv[3]))};
  Context context(arguments.threads, arguments.isa);
  std::printf("%d threads, %s\n", arguments.threads, isaName(arguments.isa).data());
  const Model small{6, 2, 64}, large{8, 2, 128};
  for (Dtype dtype : {Dtype::f32, Dtype::bf16})
    for (const Model& model : {small, large})
      for (size_t n : lengths) {
        decode(context, model, dtype, n, 0);
        for (size_t count : {size_t{512}, size_t{2048}}) decode(context, model, dtype, n, count);
        prefill(context, model, dtype, n, n == lengths.back() && model.headDim == 64);
      }
  return 0;
}
