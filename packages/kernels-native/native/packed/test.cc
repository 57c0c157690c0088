#include "packed/packed.h"

#include <algorithm>
#include <string>

#include "base/test.h"

using namespace winnow;
using namespace winnow::test;

namespace {

struct Shape {
  Dtype dtype;
  size_t kvHeads, group, headDim, packed, rest, keptK, keptV;

  size_t heads() const { return kvHeads * group; }
  size_t tokens() const { return packed + rest; }
};

/** `kept` ascending indices of each row. */
std::vector<uint16_t> randomIndices(size_t rows, size_t headDim, size_t kept, uint64_t seed) {
  Random random(seed);
  std::vector<uint16_t> indices;
  for (size_t row = 0; row < rows; ++row)
    for (size_t c = 0, left = kept; c < headDim; ++c)
      if (random.below(headDim - c) < left) {
        indices.push_back(static_cast<uint16_t>(c));
        --left;
      }
  return indices;
}

/** K or V: all tokens with zeros where nothing is kept, and the same as packed rows and the tokens that follow. */
template <class Element>
struct Rows {
  Rows(const Shape& s, size_t keptElements, std::vector<Element> whole, uint64_t seed)
      : shape(s), kept(keptElements), capacity(s.packed + 1), indices(randomIndices(s.kvHeads * s.packed, s.headDim, kept, seed)), zeroed(std::move(whole)) {
    bitmap.assign(s.kvHeads * capacity * ((s.headDim + 7) / 8), 0xff);
    values.assign(s.kvHeads * capacity * kept, 0x7f);
    const size_t d = s.headDim;
    const CacheView source{s.dtype, zeroed.data(), s.kvHeads, s.packed, d, s.tokens() * d, d};
    Context context(2, Isa::generic);
    packTokens(context, source, indices.data(), {capacity, kept, bitmap.data(), values.data()}, 0);
    for (size_t row = 0; row < s.kvHeads * s.packed; ++row) {
      Element* at = zeroed.data() + (row / s.packed * s.tokens() + row % s.packed) * d;
      const std::vector<Element> before(at, at + d);
      std::fill(at, at + d, Element{0});
      for (size_t i = row * kept; i < (row + 1) * kept; ++i) at[indices[i]] = before[indices[i]];
    }
  }

  CacheView dense(size_t first) const {
    return {shape.dtype, zeroed.data() + first * shape.headDim, shape.kvHeads, shape.tokens() - first, shape.headDim, shape.tokens() * shape.headDim,
            shape.headDim};
  }
  PackedView view() const { return {shape.dtype, shape.kvHeads, shape.packed, capacity, shape.headDim, kept, bitmap.data(), values.data()}; }

  Shape shape;
  size_t kept, capacity;
  std::vector<uint16_t> indices;
  std::vector<Element> zeroed, values;
  std::vector<uint8_t> bitmap;
};

struct Result {
  std::vector<float> out, logSumExp;
  AttentionCost cost;
  WrongRows wrong;
};

Result attend(const Shape& s, const std::vector<float>& q, const CacheView& k, const CacheView& v, const PackedCache* packed, Isa isa, int threads) {
  Context context(threads, isa);
  Result result;
  result.out.assign(q.size(), 7.0f);
  result.logSumExp.assign(s.heads(), 7.0f);
  DecodeTask task{};
  task.q = {q.data(), s.heads(), 1, s.headDim, s.headDim, s.headDim};
  task.out = {result.out.data(), s.heads(), 1, s.headDim, s.headDim, s.headDim};
  task.k = k;
  task.v = v;
  task.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(s.headDim)));
  task.logSumExp = result.logSumExp.data();
  task.packed = packed;
  result.wrong = decodeAttention(context, task, result.cost);
  return result;
}

std::vector<float> elementsOf(size_t count, uint64_t seed, float) { return randomFloats(count, seed); }
std::vector<uint16_t> elementsOf(size_t count, uint64_t seed, uint16_t) { return toBf16(randomFloats(count, seed)); }

std::string nameOf(const Shape& s) {
  char name[160];
  std::snprintf(name, sizeof name, "%s hKv=%zu group=%zu d=%zu packed=%zu rest=%zu kept %zu and %zu", s.dtype == Dtype::bf16 ? "bf16" : "f32", s.kvHeads,
                s.group, s.headDim, s.packed, s.rest, s.keptK, s.keptV);
  return name;
}

template <class Element>
void checkAttention(Checks& checks, const Shape& s) {
  const size_t elements = s.kvHeads * s.tokens() * s.headDim;
  const std::vector<float> q = randomFloats(s.heads() * s.headDim, 1, 3.0f);
  const Rows<Element> k(s, s.keptK, elementsOf(elements, 2, Element{}), 4), v(s, s.keptV, elementsOf(elements, 3, Element{}), 5);
  const PackedCache packed{k.view(), v.view()};
  const Result expected = attend(s, q, k.dense(0), v.dense(0), nullptr, availableIsas().back(), 1);
  const std::string name = nameOf(s);
  for (Isa isa : availableIsas())
    for (int threads : {1, 2}) {
      const Result actual = attend(s, q, k.dense(s.packed), v.dense(s.packed), &packed, isa, threads);
      checks.expect(actual.wrong.none(), "every row can be expanded", name.c_str());
      checks.expectSameBits(actual.out, expected.out, name.c_str());
      checks.expectSameBits(actual.logSumExp, expected.logSumExp, (name + " logSumExp").c_str());
      checks.expect(actual.cost.cellsComputed == s.heads() * s.tokens(), "cells", name.c_str());
      const size_t row = 2 * ((s.headDim + 7) / 8) + (s.keptK + s.keptV) * sizeof(Element);
      checks.expect(actual.cost.bytesRead == s.kvHeads * (s.packed * row + s.rest * 2 * s.headDim * sizeof(Element)), "bytes", name.c_str());
    }
}

/** A bitmap that disagrees with the number of kept elements is found wherever it stands, and nothing is written or read outside. */
template <class Element>
void checkWrongBits(Checks& checks, size_t headDim) {
  const Shape s{sizeof(Element) == 2 ? Dtype::bf16 : Dtype::f32, 2, 3, headDim, 530, 3, 3, 5};
  const size_t elements = s.kvHeads * s.tokens() * s.headDim, rowBytes = (headDim + 7) / 8;
  const std::vector<float> q = randomFloats(s.heads() * s.headDim, 1);
  for (size_t row : {size_t{0}, size_t{529}, size_t{530 + 515}, size_t{2 * 530 - 1}})
    for (uint8_t byte : {uint8_t{0}, uint8_t{0xff}}) {
      Rows<Element> k(s, s.keptK, elementsOf(elements, 2, Element{}), 4), v(s, s.keptV, elementsOf(elements, 3, Element{}), 5);
      const size_t at = (row / s.packed * k.capacity + row % s.packed) * rowBytes;
      std::fill_n(k.bitmap.begin() + static_cast<ptrdiff_t>(at), rowBytes, byte);
      std::fill_n(v.bitmap.begin() + static_cast<ptrdiff_t>(at), rowBytes, byte);
      const PackedCache packed{k.view(), v.view()};
      for (Isa isa : availableIsas()) {
        const Result actual = attend(s, q, k.dense(s.packed), v.dense(s.packed), &packed, isa, 2);
        checks.expect(actual.wrong.k == row && actual.wrong.v == row, "the wrong row is named");
        checks.expectSameBits(actual.out, std::vector<float>(q.size(), 7.0f), "no output beside wrong rows");
      }
    }
}

/** As many bits as are kept, one of them behind the last element. */
void checkStrayBit(Checks& checks) {
  const Shape s{Dtype::f32, 1, 1, 20, 2, 1, 2, 2};
  const std::vector<float> q = randomFloats(20, 1);
  Rows<float> k(s, 2, randomFloats(60, 2), 4), v(s, 2, randomFloats(60, 3), 5);
  const uint8_t stray[3] = {1, 0, 0x10};
  std::copy_n(stray, 3, v.bitmap.begin() + 3);
  const PackedCache packed{k.view(), v.view()};
  for (Isa isa : availableIsas()) {
    const Result actual = attend(s, q, k.dense(2), v.dense(2), &packed, isa, 1);
    checks.expect(actual.wrong.k == WrongRows::kNone && actual.wrong.v == 1, "a bit behind the last element is found");
  }
}

void checkPacking(Checks& checks) {
  const std::vector<float> rows = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
  const std::vector<uint16_t> indices = {0, 9, 3, 8};
  std::vector<uint8_t> bitmap(3 * 2, 0xff);
  std::vector<float> values(3 * 2, -1);
  Context context(1, Isa::generic);
  packTokens(context, {Dtype::f32, rows.data(), 1, 2, 10, 20, 10}, indices.data(), {3, 2, bitmap.data(), values.data()}, 1);
  checks.expect(bitmap == std::vector<uint8_t>{0xff, 0xff, 0x01, 0x02, 0x08, 0x01}, "bits of packed rows");
  checks.expectSameBits(values, {-1, -1, 1, 10, 14, 19}, "values of packed rows");
  checks.expect(wrongIndices(indices.data(), 2, 2, 10) == -1, "indices that ascend");
  checks.expect(wrongIndices(indices.data(), 2, 2, 9) == 0, "an index that is too large");
  checks.expect(wrongIndices(std::vector<uint16_t>{0, 1, 4, 4}.data(), 2, 2, 9) == 1, "an index twice");
}

void checkAll(Checks& checks, const Shape& s) { s.dtype == Dtype::bf16 ? checkAttention<uint16_t>(checks, s) : checkAttention<float>(checks, s); }

}  // namespace

int main() {
  Checks checks;
  checkPacking(checks);
  for (Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    for (size_t headDim : {8, 20, 64, 128, 192, 256})
      for (size_t kept : {size_t{1}, headDim / 2 - 1, headDim}) checkAll(checks, {dtype, 2, 3, headDim, 33, 7, kept, headDim - kept + 1});
    for (size_t group : {1, 2, 4, 8})
      for (size_t packed : {1, 15, 48, 512, 1030}) checkAll(checks, {dtype, 2, group, 64, packed, 17, 19, 32});
    checkAll(checks, {dtype, 1, 5, 128, 500, 600, 38, 64});
  }
  for (size_t headDim : {20, 128}) {
    checkWrongBits<float>(checks, headDim);
    checkWrongBits<uint16_t>(checks, headDim);
  }
  checkStrayBit(checks);
  return checks.report();
}
