#include "channels/channels.h"

#include <algorithm>
#include <memory>

#include "base/test.h"
#include "linear/linear.h"

using namespace winnow;
using namespace winnow::test;

namespace {

/** Every instruction set with 1, 2 and 3 threads; the first is the one to agree with. */
std::vector<std::unique_ptr<Context>> everyContext() {
  std::vector<std::unique_ptr<Context>> contexts;
  for (Isa isa : availableIsas())
    for (int threads : {1, 2, 3}) contexts.push_back(std::make_unique<Context>(threads, isa));
  return contexts;
}

/** Numbers of one type with their values in float64. */
struct Matrix {
  Dtype dtype;
  std::vector<float> floats;
  std::vector<uint16_t> halves;

  Matrix(Dtype type, std::vector<float> values) : dtype(type), floats(std::move(values)), halves(toBf16(floats)) {
    if (dtype == Dtype::bf16)
      for (size_t i = 0; i < floats.size(); ++i) floats[i] = fromBf16(halves[i]);
  }
  const void* data() const { return dtype == Dtype::bf16 ? static_cast<const void*>(halves.data()) : floats.data(); }
  double at(size_t i) const { return static_cast<double>(floats[i]); }
};

/** Of a vector: whether each entry is selected, from the definition. */
std::vector<bool> selectedBy(const Selection& s, const std::vector<float>& x) {
  const auto score = [&](size_t j) { return std::fabs(x[j]) * (s.scale == nullptr ? 1.0f : s.scale[j]); };
  std::vector<bool> chosen(x.size());
  if (s.rule == Selection::Rule::threshold) {
    for (size_t j = 0; j < x.size(); ++j) chosen[j] = score(j) > s.thresholds[s.perEntry ? j : 0];
    return chosen;
  }
  std::vector<size_t> order;
  for (size_t j = 0; j < x.size(); ++j)
    if (x[j] != 0) order.push_back(j);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return score(a) > score(b); });
  for (size_t i = 0; i < std::min(s.keep, order.size()); ++i) chosen[order[i]] = true;
  return chosen;
}

/** Selections by number, from none to all of the entries. */
struct Selections {
  static constexpr size_t kCount = 10;
  std::vector<float> scale, perEntry, single;

  explicit Selections(size_t size) : scale(randomFloats(size, 71)), perEntry(randomFloats(size, 72)), single(4) {
    for (float& value : scale) value = std::fabs(value);
    for (float& value : perEntry) value = std::fabs(value);
    single = {0.5f, -1.0f, 0.0f, INFINITY};
  }

  Selection at(size_t kind) const {
    Selection s;
    s.scale = kind % 2 == 1 ? scale.data() : nullptr;
    if (kind < 4) {
      s.thresholds = &single[kind];
    } else if (kind < 6) {
      s.thresholds = perEntry.data();
      s.perEntry = true;
    } else {
      s.rule = Selection::Rule::largest;
      const size_t keeps[] = {0, scale.size() / 2, (scale.size() * 3 + 3) / 4, scale.size()};
      s.keep = keeps[kind - 6];
    }
    return s;
  }
};

/** Random numbers, of which a fifth is 0 and many are equal. */
std::vector<float> entries(size_t count, uint64_t seed) {
  std::vector<float> x = randomFloats(count, seed);
  for (float& value : x) value = std::round(5 * value) / 5;
  return x;
}

void checkSelection(Checks& checks, Context& context, size_t size) {
  const std::vector<float> x = entries(size, size);
  const Selections selections(size);
  for (size_t kind = 0; kind < Selections::kCount; ++kind) {
    const Selection selection = selections.at(kind);
    const std::vector<bool> chosen = selectedBy(selection, x);
    Selected selected;
    bool ok = select(context, selection, x.data(), size, selected);
    size_t count = 0;
    for (size_t j = 0; j < size; ++j) {
      ok = ok && selected.rest[j] == (chosen[j] ? 0.0f : x[j]);
      if (!chosen[j]) continue;
      ok = ok && count < selected.count && selected.indices[count] == static_cast<int32_t>(j) && selected.values[count] == x[j];
      ++count;
    }
    checks.expect(ok && count == selected.count, "select takes ascending entries by their scores and leaves the rest");
  }
}

void checkNaN(Checks& checks, Context& context) {
  for (size_t size : {1, 16, 37})
    for (size_t kind = 0; kind < Selections::kCount; ++kind) {
      std::vector<float> x = randomFloats(size, 5);
      x[size - 1] = NAN;
      const Selections selections(size);
      Selected selected;
      checks.expect(!select(context, selections.at(kind), x.data(), size, selected), "select refuses NaN");
    }
}

struct Case {
  Dtype dtype;
  size_t in, out, rank, kind;
  bool bias, accumulate;
};

void checkChannels(Checks& checks, const std::vector<std::unique_ptr<Context>>& contexts, const Case& c) {
  const std::vector<float> x = entries(c.in, 1 + c.in), bias = randomFloats(c.out, 3), old = randomFloats(c.out, 4);
  const Matrix weight(c.dtype, randomFloats(c.in * c.out, 2));
  const Matrix inputs(c.dtype, randomFloats(c.in * c.rank, 5)), outputs(c.dtype, randomFloats(c.rank * c.out, 6));
  const Selections selections(c.in);
  const Selection selection = selections.at(c.kind);

  const std::vector<bool> chosen = selectedBy(selection, x);
  std::vector<double> ranks(c.rank), expected(c.out);
  double magnitude = 2;
  size_t selected = 0, rest = 0;
  for (size_t j = 0; j < c.in; ++j) {
    magnitude += (1 + static_cast<double>(c.rank)) * std::fabs(static_cast<double>(x[j]));
    selected += chosen[j];
    rest += !chosen[j] && x[j] != 0;
    for (size_t r = 0; r < c.rank && !chosen[j]; ++r) ranks[r] += static_cast<double>(x[j]) * inputs.at(j * c.rank + r);
  }
  for (size_t o = 0; o < c.out; ++o) {
    expected[o] = (c.bias ? static_cast<double>(bias[o]) : 0) + (c.accumulate ? static_cast<double>(old[o]) : 0);
    for (size_t j = 0; j < c.in; ++j) expected[o] += chosen[j] ? static_cast<double>(x[j]) * weight.at(j * c.out + o) : 0;
    for (size_t r = 0; r < c.rank; ++r) expected[o] += ranks[r] * outputs.at(r * c.out + o);
  }
  const size_t unit = bytesOf(c.dtype);
  const size_t bytes = selected * c.out * unit + (c.bias ? c.out * sizeof(float) : 0) + (rest == 0 ? 0 : (rest + c.out) * c.rank * unit);

  char name[160];
  std::snprintf(name, sizeof name, "channelsLinear %s in=%zu out=%zu rank=%zu selection=%zu", c.dtype == Dtype::bf16 ? "bf16" : "f32", c.in, c.out,
                c.rank, c.kind);
  std::vector<float> first;
  for (const auto& context : contexts) {
    std::vector<float> out = old;
    const MatrixView view{c.dtype, weight.data(), c.in, c.out, true, c.bias ? bias.data() : nullptr};
    const ReadBytes read =
        channelsLinear(*context, {{x.data(), 1, view, out.data(), c.accumulate}, 1, selection, {c.dtype, c.rank, inputs.data(), outputs.data()}});
    if (first.empty()) first = out;
    checks.expectSameBits(out, first, name);
    checks.expect(read.badRow == -1 && read.bytes == bytes, name, "bytes read");
  }
  // A chain has at most in + rank + 2 roundings of partial sums below the sum of all magnitudes; that of the ranks comes before it.
  checks.expectClose(first, expected, static_cast<double>(2 * c.in + c.rank + 4) * magnitude * 0x1p-24, name);
}

void checkEveryTail(Checks& checks, const std::vector<std::unique_ptr<Context>>& contexts) {
  for (size_t in = 1; in <= 70; ++in)
    for (size_t out = 1; out <= 70; ++out) {
      const size_t mix = in * 31 + out * 17, rank = mix % 3 == 0 ? 0 : 1 + mix % 37;
      checkChannels(checks, contexts, {mix % 2 == 0 ? Dtype::bf16 : Dtype::f32, in, out, rank, mix % Selections::kCount, mix % 5 < 2, mix % 7 < 3});
    }
  for (Dtype dtype : {Dtype::f32, Dtype::bf16})
    for (size_t kind = 0; kind < Selections::kCount; ++kind) checkChannels(checks, contexts, {dtype, 190, 2600, 70, kind, true, kind % 2 == 0});
}

std::vector<float> byPanels(Context& context, const Matrix& weight, const DenseRowsTask& task, const std::vector<float>& old) {
  const size_t in = task.weight.inFeatures, out = task.weight.outFeatures, steps = weight.dtype == Dtype::bf16 ? (in + 1) / 2 : in;
  std::vector<uint8_t> packed((out + 15) / 16 * steps * 64);
  packWeight(context, {weight.dtype, weight.data(), out, in, weight.dtype, packed.data()});
  std::vector<float> result = old;
  linear(context, {task.x, task.rows, in, out, weight.dtype, packed.data(), task.weight.bias, result.data(), task.accumulate});
  return result;
}

void checkDense(Checks& checks, const std::vector<std::unique_ptr<Context>>& contexts, Dtype dtype, size_t rows, size_t in, size_t out) {
  const std::vector<float> x = randomFloats(rows * in, 1), bias = randomFloats(out, 3), old = randomFloats(rows * out, 4);
  const std::vector<float> values = randomFloats(in * out, 2);
  std::vector<float> turned(values.size());
  for (size_t o = 0; o < out; ++o)
    for (size_t i = 0; i < in; ++i) turned[i * out + o] = values[o * in + i];
  const Matrix byRows(dtype, values), byChannels(dtype, turned);
  for (const auto& context : contexts)
    for (bool channels : {false, true}) {
      std::vector<float> result = old;
      const MatrixView view{dtype, (channels ? byChannels : byRows).data(), in, out, channels, in % 2 == 0 ? bias.data() : nullptr};
      const DenseRowsTask task{x.data(), rows, view, result.data(), out % 2 == 0};
      const ReadBytes read = denseRows(*context, task);
      checks.expectSameBits(result, byPanels(*context, byRows, task, old), "denseRows has the bits of linear on panels");
      checks.expect(read.bytes == in * out * bytesOf(dtype) + (in % 2 == 0 ? 4 * out : 0), "denseRows reads the whole matrix");
    }
}

/** The first rows dense, the last ones each by its own selection. */
void checkMixedRows(Checks& checks, Context& context) {
  const size_t in = 50, out = 40;
  const std::vector<float> x = entries(5 * in, 1);
  const Matrix weight(Dtype::bf16, randomFloats(in * out, 2));
  const Selections selections(in);
  std::vector<float> all(5 * out), single(5 * out);
  const MatrixView view{Dtype::bf16, weight.data(), in, out, true, nullptr};
  const ReadBytes read = channelsLinear(context, {{x.data(), 5, view, all.data(), false}, 2, selections.at(0), {}});
  size_t bytes = weight.halves.size() * 2;
  denseRows(context, {x.data(), 3, view, single.data(), false});
  for (size_t r : {3, 4})
    bytes += channelsLinear(context, {{x.data() + r * in, 1, view, single.data() + r * out, false}, 1, selections.at(0), {}}).bytes;
  checks.expectSameBits(all, single, "channelsLinear treats rows as if each were alone");
  checks.expect(read.bytes == bytes, "channelsLinear counts the dense pass once and every sparse row");
}

void checkBadRow(Checks& checks, Context& context) {
  std::vector<float> x = randomFloats(3 * 20, 1), out(3 * 4);
  x[2 * 20 + 3] = NAN;
  const Matrix weight(Dtype::f32, randomFloats(20 * 4, 2));
  const Selections selections(20);
  const MatrixView view{Dtype::f32, weight.data(), 20, 4, true, nullptr};
  checks.expect(channelsLinear(context, {{x.data(), 3, view, out.data(), false}, 2, selections.at(0), {}}).badRow == 2, "channelsLinear names the row of a NaN");
}

void checkGated(Checks& checks, const std::vector<std::unique_ptr<Context>>& contexts, const Case& c, Activation activation) {
  const std::vector<float> x = randomFloats(c.in, 1), bias = randomFloats(c.out, 3), gate = entries(c.out, 4), ones(c.out, 1.0f);
  const Matrix weight(c.dtype, randomFloats(c.in * c.out, 2));
  const Selections selections(c.out);
  const Selection selection = selections.at(c.kind);
  std::vector<float> activated = gate;
  gatedActivation(*contexts[0], activated.data(), ones.data(), c.out, activation);
  const std::vector<bool> chosen = selectedBy(selection, activated);
  std::vector<double> expected(c.out);
  size_t bytes = 0;
  for (size_t o = 0; o < c.out; ++o) {
    if (!chosen[o]) continue;
    double dot = c.bias ? static_cast<double>(bias[o]) : 0;
    for (size_t i = 0; i < c.in; ++i) dot += static_cast<double>(x[i]) * weight.at(o * c.in + i);
    expected[o] = static_cast<double>(activated[o]) * dot;
    bytes += c.in * bytesOf(c.dtype) + (c.bias ? sizeof(float) : 0);
  }
  char name[160];
  std::snprintf(name, sizeof name, "gatedLinear in=%zu out=%zu selection=%zu", c.in, c.out, c.kind);
  std::vector<float> first;
  for (const auto& context : contexts) {
    std::vector<float> turned = gate, out(c.out, NAN);
    const MatrixView view{c.dtype, weight.data(), c.in, c.out, false, c.bias ? bias.data() : nullptr};
    const ReadBytes read = gatedLinear(*context, {x.data(), turned.data(), view, selection, activation, out.data()});
    if (first.empty()) first = out;
    checks.expectSameBits(out, first, name);
    checks.expectSameBits(turned, activated, name);
    checks.expect(read.badRow == -1 && read.bytes == bytes, name, "bytes read");
  }
  checks.expectClose(first, expected, static_cast<double>(c.in + 3) * static_cast<double>(c.in + 1) * 0x1p-24, name);
}

}  // namespace

int main() {
  Checks checks;
  const auto contexts = everyContext();
  for (const auto& context : contexts) {
    for (size_t size = 1; size <= 70; ++size) checkSelection(checks, *context, size);
    checkSelection(checks, *context, 5000);
    checkNaN(checks, *context);
    checkMixedRows(checks, *context);
    checkBadRow(checks, *context);
  }
  checkEveryTail(checks, contexts);
  for (Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    for (size_t rows : {1, 2, 7, 13})
      for (size_t in : {1, 2, 7, 33, 300})
        for (size_t out : {1, 15, 16, 17, 130}) checkDense(checks, contexts, dtype, rows, in, out);
    checkDense(checks, contexts, dtype, 120, 67, 600);
    for (size_t in = 1; in <= 70; in += in < 34 ? 1 : 9)
      for (size_t out = 1; out <= 70; out += 3)
        checkGated(checks, contexts, {dtype, in, out, 0, (in + out) % Selections::kCount, in % 2 == 0, false}, static_cast<Activation>((in + 2 * out) % 4));
  }
  return checks.report();
}
