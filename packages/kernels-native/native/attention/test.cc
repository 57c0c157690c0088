#include "attention/attention.h"

#include <functional>
#include <string>

#include "base/test.h"

using namespace winnow;
using namespace winnow::test;

namespace {

using Keep = std::function<bool(int64_t row, int64_t key)>;

struct Result {
  std::vector<float> out;
  std::vector<float> logSumExp;
  AttentionCost cost;
};

struct Shape {
  Dtype dtype;
  size_t heads, kvHeads, length, headDim;
};

/** q, k, v of a shape; caches are `[hKv, n, d]` with a gap of 3 elements after each row. */
struct Data {
  explicit Data(const Shape& s, float spread = 3.0f) : shape(s), stride(s.headDim + 3) {
    q = randomFloats(s.heads * s.length * s.headDim, 11, spread);
    k = randomFloats(s.kvHeads * s.length * stride, 12);
    v = randomFloats(s.kvHeads * s.length * stride, 13);
    kHalf = toBf16(k);
    vHalf = toBf16(v);
  }

  CacheView view(const std::vector<float>& full, const std::vector<uint16_t>& half) const {
    const void* data = shape.dtype == Dtype::bf16 ? static_cast<const void*>(half.data()) : full.data();
    return {shape.dtype, data, shape.kvHeads, shape.length, shape.headDim, shape.length * stride, stride};
  }
  double number(float x) const { return static_cast<double>(shape.dtype == Dtype::bf16 ? fromBf16(toBf16(x)) : x); }

  Shape shape;
  size_t stride;
  std::vector<float> q, k, v;
  std::vector<uint16_t> kHalf, vHalf;
};

double scaleOf(const Shape& shape) { return static_cast<double>(static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape.headDim)))); }

/** One row of softmax attention by plain loops in float64; weights are rounded as the type asks, relative to the largest score. */
void oracleRow(const Data& data, size_t head, size_t queryAt, const std::vector<int64_t>& keys, double* out, double& logSumExp, double* scores = nullptr) {
  const Shape& shape = data.shape;
  const size_t d = shape.headDim, kvBase = head / (shape.heads / shape.kvHeads) * shape.length * data.stride;
  std::vector<double> score(keys.size());
  double largest = -INFINITY, sum = 0;
  for (size_t j = 0; j < keys.size(); ++j) {
    for (size_t c = 0; c < d; ++c)
      score[j] += data.number(data.q[queryAt + c]) * data.number(data.k[kvBase + static_cast<size_t>(keys[j]) * data.stride + c]);
    score[j] *= scaleOf(shape);
    if (scores != nullptr) scores[keys[j]] = score[j];
    largest = std::max(largest, score[j]);
  }
  for (size_t c = 0; c < d; ++c) out[c] = 0;
  for (size_t j = 0; j < keys.size(); ++j) {
    const double weight = std::exp(score[j] - largest);
    sum += weight;
    for (size_t c = 0; c < d; ++c) out[c] += weight * data.number(data.v[kvBase + static_cast<size_t>(keys[j]) * data.stride + c]);
  }
  for (size_t c = 0; c < d && sum > 0; ++c) out[c] /= sum;
  logSumExp = sum > 0 ? largest + std::log(sum) : -INFINITY;
}

/**
 * f32: scores have d roundings of numbers up to 3 d / sqrt(d), which the exponential turns into relative errors; values are at most 1.
 * bf16: each weight is rounded by at most 2^-9 of itself, so an average of values of at most 1 moves by at most that.
 */
double boundOf(const Shape& shape) {
  const double d = static_cast<double>(shape.headDim);
  return 2 * (d + 8) * 3 * std::sqrt(d) * 0x1p-24 + 2e-6 + (shape.dtype == Dtype::bf16 ? 0x1p-8 : 0);
}

Result prefill(const Data& data, const std::vector<PrefillMask>& masks, Isa isa, int threads, bool inPlace = false) {
  const Shape& s = data.shape;
  Context context(threads, isa);
  Result result;
  result.out = inPlace ? data.q : std::vector<float>(data.q.size(), 7.0f);
  result.logSumExp.assign(s.heads * s.length, 7.0f);
  PrefillTask task{};
  const size_t n = s.length, d = s.headDim;
  task.q = {inPlace ? result.out.data() : data.q.data(), s.heads, n, d, n * d, d};
  task.out = {result.out.data(), s.heads, n, d, n * d, d};
  task.k = data.view(data.k, data.kHalf);
  task.v = data.view(data.v, data.vHalf);
  task.scale = static_cast<float>(scaleOf(s));
  task.masks = masks;
  task.logSumExp = result.logSumExp.data();
  prefillAttention(context, task, result.cost);
  return result;
}

std::string nameOf(const char* what, const Shape& s) {
  char name[160];
  std::snprintf(name, sizeof name, "%s %s h=%zu hKv=%zu n=%zu d=%zu", what, s.dtype == Dtype::bf16 ? "bf16" : "f32", s.heads, s.kvHeads, s.length,
                s.headDim);
  return name;
}

void checkPrefill(Checks& checks, const Shape& shape, const std::vector<PrefillMask>& masks, const std::vector<Keep>& keeps, const char* what) {
  const Data data(shape);
  const std::string name = nameOf(what, shape);
  const size_t n = shape.length, d = shape.headDim;
  const Result first = prefill(data, masks, availableIsas().back(), 1);
  std::vector<double> out(data.q.size()), logSumExp(shape.heads * n);
  for (size_t head = 0; head < shape.heads; ++head)
    for (size_t row = 0; row < n; ++row) {
      std::vector<int64_t> keys;
      for (size_t key = 0; key <= row; ++key)
        if (keeps[keeps.size() == 1 ? 0 : head](static_cast<int64_t>(row), static_cast<int64_t>(key))) keys.push_back(static_cast<int64_t>(key));
      const size_t at = (head * n + row) * d;
      oracleRow(data, head, at, keys, &out[at], logSumExp[head * n + row]);
    }
  checks.expectClose(first.out, out, boundOf(shape), name.c_str());
  checks.expectClose(first.logSumExp, logSumExp, 1e-4, (name + " logSumExp").c_str());
  checks.expectSameBits(prefill(data, masks, availableIsas().back(), 2, true).out, first.out, (name + " in place of q").c_str());
  for (Isa isa : availableIsas())
    for (int threads : {1, 2, 3}) {
      const Result other = prefill(data, masks, isa, threads);
      checks.expectSameBits(other.out, first.out, name.c_str());
      checks.expectSameBits(other.logSumExp, first.logSumExp, (name + " logSumExp").c_str());
      checks.expect(other.cost.cellsComputed == first.cost.cellsComputed, (name + " cells").c_str());
    }
}

bool inBand(const Band& band, int64_t row, int64_t key) {
  return key < band.sinkTokens || row - key < band.recentTokens || row >= band.denseFromRow;
}

PrefillMask bandOf(const Band& band) {
  PrefillMask mask;
  mask.form = MaskForm::band;
  mask.bands[0] = band;
  return mask;
}

/** A ranges mask with its arrays; `kept` says the same cell by cell. */
struct RandomRanges {
  RandomRanges(int64_t n, int64_t blockSize, uint64_t seed) : length(n) {
    Random random(seed);
    mask.form = MaskForm::ranges;
    mask.blockSize = blockSize;
    mask.bands[0] = {5, 20, n};
    mask.bands[1] = {17, 90, n - 30};
    mask.bands[2] = {0, 1, n};
    rangeOffsets = {0};
    columnOffsets = {0};
    const int64_t blocks = (n + blockSize - 1) / blockSize;
    cells.assign(static_cast<size_t>(n * n), false);
    for (int64_t block = 0; block < blocks; ++block) addBlock(random, block);
    mask.rangeOffsets = rangeOffsets.data();
    mask.ranges = ranges.data();
    mask.rangeFlags = flags.data();
    mask.columnOffsets = columnOffsets.data();
    mask.columns = columns.data();
  }

  void addBlock(Random& random, int64_t block) {
    const int64_t rowBegin = block * mask.blockSize, rowEnd = std::min(length, rowBegin + mask.blockSize);
    int64_t key = 0;
    while (key < rowEnd && random.below(8) != 0) {
      const int64_t begin = key + static_cast<int64_t>(random.below(60)), end = begin + 1 + static_cast<int64_t>(random.below(90));
      for (int64_t c = key; c < std::min(begin, length); ++c)
        if (random.below(6) == 0) addColumn(c, rowBegin, rowEnd);
      if (begin >= length) break;
      addRange(begin, std::min(end, length), static_cast<uint8_t>(random.below(8)), rowBegin, rowEnd);
      key = end;
    }
    rangeOffsets.push_back(static_cast<int32_t>(flags.size()));
    columnOffsets.push_back(static_cast<int32_t>(columns.size()));
  }

  void addColumn(int64_t key, int64_t rowBegin, int64_t rowEnd) {
    columns.push_back(static_cast<int32_t>(key));
    for (int64_t row = rowBegin; row < rowEnd; ++row) cells[static_cast<size_t>(row * length + key)] = true;
  }

  void addRange(int64_t begin, int64_t end, uint8_t flag, int64_t rowBegin, int64_t rowEnd) {
    ranges.push_back(static_cast<int32_t>(begin));
    ranges.push_back(static_cast<int32_t>(end));
    flags.push_back(flag);
    for (int64_t row = rowBegin; row < rowEnd; ++row)
      for (int64_t key = begin; key < end; ++key) {
        bool kept = true;
        for (int t = 0; t < kMaxBands; ++t) kept = kept && ((flag >> t & 1) == 0 || inBand(mask.bands[t], row, key));
        cells[static_cast<size_t>(row * length + key)] = kept;
      }
  }

  Keep keep() const {
    return [this](int64_t row, int64_t key) -> bool { return cells[static_cast<size_t>(row * length + key)]; };
  }

  int64_t length;
  PrefillMask mask;
  std::vector<int32_t> rangeOffsets, ranges, columnOffsets, columns;
  std::vector<uint8_t> flags;
  std::vector<bool> cells;
};

void checkMasks(Checks& checks, const Shape& shape) {
  const int64_t n = static_cast<int64_t>(shape.length);
  checkPrefill(checks, shape, {PrefillMask{}}, {[](int64_t, int64_t) { return true; }}, "prefill dense");
  for (const Band band : {Band{4, 10, n}, Band{0, 1, n}, Band{20, 70, n - 5}, Band{40, 130, 70}}) {
    const Keep keep = [band](int64_t row, int64_t key) { return inBand(band, row, key); };
    checkPrefill(checks, shape, {bandOf(band)}, {keep}, "prefill band");
  }
  for (int64_t blockSize : {64, 16, 32}) {
    std::vector<RandomRanges> ranges;
    ranges.reserve(shape.heads);
    std::vector<PrefillMask> masks;
    std::vector<Keep> keeps;
    for (size_t head = 0; head < shape.heads; ++head) {
      ranges.emplace_back(n, blockSize, head + static_cast<uint64_t>(blockSize));
      masks.push_back(ranges.back().mask);
      keeps.push_back(ranges.back().keep());
    }
    checkPrefill(checks, shape, masks, keeps, "prefill ranges, one mask per head");
  }
}

void checkNothingKept(Checks& checks) {
  const Shape shape{Dtype::f32, 1, 1, 70, 16};
  const std::vector<int32_t> offsets(3, 0);
  PrefillMask mask;
  mask.form = MaskForm::ranges;
  mask.rangeOffsets = mask.columnOffsets = offsets.data();
  const Result result = prefill(Data(shape), {mask}, availableIsas().back(), 2);
  checks.expectClose(result.out, std::vector<double>(result.out.size(), 0.0), 0, "prefill gives zeros where a row has no key");
  checks.expectClose(result.logSumExp, std::vector<double>(70, -INFINITY), 0, "prefill gives logSumExp -infinity where a row has no key");
  checks.expect(result.cost.cellsComputed == 0, "prefill computes no cell of an empty mask");
}

void checkSkipping(Checks& checks) {
  const Shape shape{Dtype::f32, 1, 1, 640, 16};
  const int64_t n = 640;
  const Data data(shape);
  // Blocks of 64 rows: sink tile 0, then keys from 64 b - 31 (tile-aligned down: 64 b - 32) to 64 b + 63.
  const Result band = prefill(data, {bandOf({16, 32, n})}, availableIsas().back(), 1);
  checks.expect(band.cost.cellsComputed == 64 * (64 + 9 * (16 + 96)), "prefill computes no tile outside a band");
  const Result dense = prefill(data, {PrefillMask{}}, availableIsas().back(), 1);
  checks.expect(dense.cost.cellsComputed == 64 * 64 * 55, "prefill computes no tile above the diagonal");
}

void checkExtremeScores(Checks& checks) {
  for (Dtype dtype : {Dtype::f32, Dtype::bf16})
    for (float spread : {0.0f, 1e-18f, 1e4f}) {
      const Shape shape{dtype, 2, 1, 90, 24};
      const Data data(shape, spread);
      const Result first = prefill(data, {PrefillMask{}}, Isa::generic, 1);
      bool finite = true;
      for (float x : first.out) finite = finite && std::isfinite(x);
      checks.expect(finite, "prefill stays finite for vanishing and for large scores");
      for (Isa isa : availableIsas()) checks.expectSameBits(prefill(data, {PrefillMask{}}, isa, 2).out, first.out, "prefill of extreme scores");
    }
}

void checkCancel(Checks& checks) {
  const Shape shape{Dtype::f32, 1, 1, 64, 16};
  const Data data(shape);
  Context context(2, availableIsas().back());
  std::vector<float> out(data.q.size(), 7.0f);
  const int32_t cancel = 1;
  PrefillTask task{};
  task.q = {data.q.data(), 1, 64, 16, 64 * 16, 16};
  task.out = {out.data(), 1, 64, 16, 64 * 16, 16};
  task.k = data.view(data.k, data.kHalf);
  task.v = data.view(data.v, data.vHalf);
  task.scale = 1;
  task.masks = {PrefillMask{}};
  task.cancel = &cancel;
  AttentionCost cost;
  checks.expect(prefillAttention(context, task, cost) == Status::cancelled, "prefill reports that it was cancelled");
  checks.expect(cost.cellsComputed == 0 && out[0] == 7.0f, "prefill computes nothing once it is cancelled");
}

struct DecodeCase {
  bool lists;
  bool lengths;
};

struct DecodeResult {
  std::vector<float> out, logSumExp, scores;
  AttentionCost cost;
};

DecodeResult decode(const Data& data, const DecodeTask& template_, Isa isa, int threads) {
  const Shape& s = data.shape;
  Context context(threads, isa);
  DecodeResult result;
  result.out.assign(s.heads * s.headDim, 7.0f);
  result.logSumExp.assign(s.heads, 7.0f);
  result.scores.assign(s.heads * s.length, 7.0f);
  DecodeTask task = template_;
  task.q = {data.q.data(), s.heads, 1, s.headDim, s.headDim, s.headDim};
  task.out = {result.out.data(), s.heads, 1, s.headDim, s.headDim, s.headDim};
  task.k = data.view(data.k, data.kHalf);
  task.v = data.view(data.v, data.vHalf);
  task.scale = static_cast<float>(scaleOf(s));
  task.logSumExp = result.logSumExp.data();
  if (task.indices == nullptr) task.scores = result.scores.data();
  decodeAttention(context, task, result.cost);
  return result;
}

void checkDecode(Checks& checks, const Shape& shape, const DecodeCase& c) {
  const Data data(shape);
  const std::string name = nameOf(c.lists ? "decode lists" : c.lengths ? "decode lengths" : "decode dense", shape);
  Random random(21);
  std::vector<int32_t> indices, offsets{0}, lengths;
  for (size_t i = 0; i < shape.kvHeads; ++i) lengths.push_back(static_cast<int32_t>(1 + random.below(shape.length)));
  std::vector<double> out(shape.heads * shape.headDim), logSumExp(shape.heads), scores(shape.heads * shape.length, 7.0);
  for (size_t head = 0; head < shape.heads; ++head) {
    const size_t length = c.lengths ? static_cast<size_t>(lengths[head / (shape.heads / shape.kvHeads)]) : shape.length;
    std::vector<int64_t> keys;
    for (size_t key = 0; key < length; ++key)
      if (!c.lists || random.below(3) == 0 || key + 1 == length) keys.push_back(static_cast<int64_t>(key));
    indices.insert(indices.end(), keys.begin(), keys.end());
    offsets.push_back(static_cast<int32_t>(indices.size()));
    oracleRow(data, head, head * shape.headDim, keys, &out[head * shape.headDim], logSumExp[head], c.lists ? nullptr : &scores[head * shape.length]);
  }
  DecodeTask task{};
  if (c.lists) {
    task.indices = indices.data();
    task.offsets = offsets.data();
  }
  if (c.lengths) task.lengths = lengths.data();
  const DecodeResult first = decode(data, task, availableIsas().back(), 1);
  checks.expectClose(first.out, out, boundOf(shape), name.c_str());
  checks.expectClose(first.logSumExp, logSumExp, 1e-4, (name + " logSumExp").c_str());
  checks.expectClose(first.scores, scores, 1e-4, (name + " scores").c_str());
  for (Isa isa : availableIsas())
    for (int threads : {1, 2, 3}) {
      const DecodeResult other = decode(data, task, isa, threads);
      checks.expectSameBits(other.out, first.out, name.c_str());
      checks.expectSameBits(other.logSumExp, first.logSumExp, (name + " logSumExp").c_str());
      checks.expectSameBits(other.scores, first.scores, (name + " scores").c_str());
    }
}

}  // namespace

int main() {
  Checks checks;
  for (Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    for (size_t n : {1, 2, 15, 16, 17, 63, 64, 65, 129}) checkPrefill(checks, {dtype, 2, 1, n, 16}, {PrefillMask{}}, {[](int64_t, int64_t) { return true; }}, "prefill dense");
    for (size_t d : {1, 2, 7, 17, 33, 64, 80, 96, 128, 255, 256})
      checkPrefill(checks, {dtype, 1, 1, 70, d}, {PrefillMask{}}, {[](int64_t, int64_t) { return true; }}, "prefill dense");
    checkMasks(checks, {dtype, 6, 2, 333, 24});
    checkMasks(checks, {dtype, 2, 2, 200, 64});
    for (size_t n : {1, 2, 15, 16, 17, 511, 512, 513, 1100})
      for (bool lists : {false, true}) checkDecode(checks, {dtype, 6, 2, n, 64}, {lists, false});
    for (size_t d : {1, 2, 7, 17, 33, 64, 80, 96, 128, 255, 256})
      for (bool lists : {false, true}) checkDecode(checks, {dtype, 5, 1, 75, d}, {lists, false});
    checkDecode(checks, {dtype, 8, 4, 600, 40}, {false, true});
  }
  checkNothingKept(checks);
  checkSkipping(checks);
  checkExtremeScores(checks);
  checkCancel(checks);
  return checks.report();
}
