#include "linear/compressed/test_weights.h"

using namespace winnow;
using namespace winnow::test;

namespace {

struct Shape {
  size_t rows, in, out;
  bool bias, accumulate;
};

struct Inputs {
  std::vector<float> x, bias, old;
  explicit Inputs(const Shape& s) : x(randomFloats(s.rows * s.in, 1)), bias(randomFloats(s.out, 3)), old(randomFloats(s.rows * s.out, 4)) {}
  Product product(const Shape& s, std::vector<float>& out) const {
    return {x.data(), s.rows, s.in, s.out, s.bias ? bias.data() : nullptr, out.data(), s.accumulate};
  }
  float start(const Shape& s, size_t r, size_t o) const {
    return (s.bias ? bias[o] : 0.0f) + (s.accumulate ? old[r * s.out + o] : 0.0f);
  }
};

template <class Fn>
void forContexts(const Fn& fn) {
  for (Isa isa : availableIsas())
    for (int threads : {1, 2, 3}) {
      Context context(threads, isa);
      fn(context);
    }
}

std::vector<float> multiply(Context& context, const Shape& shape, const Inputs& inputs, const PanelWeight& weight) {
  std::vector<float> out = inputs.old;
  linearPanels(context, inputs.product(shape, out), weight);
  return out;
}

const char* nameOf(const char* what, const Shape& s, double detail) {
  static char name[160];
  std::snprintf(name, sizeof name, "%s (%g) rows=%zu in=%zu out=%zu bias=%d accumulate=%d", what, detail, s.rows, s.in, s.out, s.bias, s.accumulate);
  return name;
}

void checkBf16(Checks& checks, const Shape& shape, double zeros) {
  const Inputs inputs(shape);
  Context context(1, Isa::generic);
  const DensePanels dense(context, PanelType::bf16, sparseFloats(shape.in * shape.out, zeros, 2), shape.out, shape.in);
  const Bitmap bitmap(context, dense, shape.out, shape.in);
  std::vector<float> expected = inputs.old;
  linear(context, {inputs.x.data(), shape.rows, shape.in, shape.out, Dtype::bf16, dense.data.data(), shape.bias ? inputs.bias.data() : nullptr,
                   expected.data(), shape.accumulate});
  forContexts([&](Context& other) {
    checks.expectSameBits(multiply(other, shape, inputs, bitmap.weight), expected, nameOf("a bf16 bitmap gives the bits of dense panels", shape, zeros));
  });
}

/** Row `r` of x as linear-weight.ts defines it. */
float quantize(const float* x, size_t in, std::vector<int>& q) {
  float most = 0;
  for (size_t i = 0; i < in; ++i) most = std::max(most, std::fabs(x[i]));
  const float scale = most / 127.0f;
  q.resize(in);
  for (size_t i = 0; i < in; ++i) q[i] = scale == 0 ? 0 : static_cast<int>(std::nearbyint(x[i] / scale));
  return scale;
}

std::vector<float> int8Oracle(const Shape& s, const Inputs& inputs, const std::vector<float>& weight) {
  std::vector<float> out(s.rows * s.out);
  std::vector<int> x, w;
  for (size_t r = 0; r < s.rows; ++r) {
    const float xScale = quantize(inputs.x.data() + r * s.in, s.in, x);
    for (size_t o = 0; o < s.out; ++o) {
      const float scale = xScale * quantize(weight.data() + o * s.in, s.in, w);
      int64_t sum = 0;
      for (size_t i = 0; i < s.in; ++i) sum += x[i] * w[i];
      out[r * s.out + o] = std::fma(scale, static_cast<float>(sum), inputs.start(s, r, o));
    }
  }
  return out;
}

void checkInt8(Checks& checks, const Shape& shape, double zeros) {
  const Inputs inputs(shape);
  Context context(1, Isa::generic);
  const std::vector<float> weight = sparseFloats(shape.in * shape.out, zeros, 2);
  const DensePanels dense(context, PanelType::int8, weight, shape.out, shape.in);
  const Bitmap bitmap(context, dense, shape.out, shape.in);
  const std::vector<float> expected = int8Oracle(shape, inputs, weight);
  forContexts([&](Context& other) {
    checks.expectSameBits(multiply(other, shape, inputs, dense.view()), expected, nameOf("int8 sums are exact", shape, zeros));
    checks.expectSameBits(multiply(other, shape, inputs, bitmap.weight), expected, nameOf("an int8 bitmap gives the same", shape, zeros));
  });
  checks.expect(wrongSum(context, dense.view(), shape.out, shape.in) == -1, "sums are those of the rows");
  checks.expect(wrongSum(context, bitmap.weight, shape.out, shape.in) == -1, "sums are those of the rows of a bitmap");
}

void checkGroups(Checks& checks, const Shape& s, size_t keep, size_t of) {
  const Inputs inputs(s);
  Context context(1, Isa::generic);
  const std::vector<float> weight = groupedFloats(s.out, s.in, keep, of, 2);
  const Groups groups(context, weight, s.out, s.in, keep, of);
  std::vector<float> expected(s.rows * s.out);
  for (size_t r = 0; r < s.rows; ++r)
    for (size_t o = 0; o < s.out; ++o) {
      float sum = inputs.start(s, r, o);
      for (size_t i = 0; i < s.in; ++i) {
        const float w = weight[o * s.in + i];
        if (w != 0) sum = std::fma(fromBf16(toBf16(w)), fromBf16(toBf16(inputs.x[r * s.in + i])), sum);
      }
      expected[r * s.out + o] = sum;
    }
  forContexts([&](Context& other) {
    std::vector<float> out = inputs.old;
    linearGroups(other, inputs.product(s, out), groups.weight);
    checks.expectSameBits(out, expected, nameOf("groups take their slots in turn", s, static_cast<double>(keep * 100 + of)));
  });
  checks.expect(groups.crowded == -1 && wrongPlaces(context, groups.weight, s.out, s.in) == -1, "groups that conform are taken");
}

void checkRoundTrip(Checks& checks, PanelType type, size_t in, size_t out, double zeros) {
  Context one(1, Isa::generic);
  const DensePanels dense(one, type, sparseFloats(in * out, zeros, 5), out, in);
  const Bitmap bitmap(one, dense, out, in);
  checks.expect(wrongPanel(one, bitmap.weight, out, in) == -1, "offsets are the running counts of the bitmap");
  Shape identity{in, in, out, false, false};
  std::vector<float> x(in * in), expected(in * out);
  for (size_t i = 0; i < in; ++i) x[i * in + i] = 1;
  const Product product{x.data(), in, in, out, nullptr, expected.data(), false};
  linearPanels(one, product, dense.view());
  forContexts([&](Context& context) {
    std::vector<float> actual(in * out);
    linearPanels(context, {x.data(), in, in, out, nullptr, actual.data(), false}, bitmap.weight);
    checks.expectSameBits(actual, expected, nameOf("an expanded bitmap is the weight", identity, zeros));
  });
}

/** Every bit set, while the values end after a few: only memory safety is asked for, which the sanitizer build checks. */
void checkLyingBitmap(Checks& checks, PanelType type, size_t rows) {
  Context one(1, Isa::generic);
  const size_t in = 300, out = 50;
  const DensePanels dense(one, type, sparseFloats(in * out, 0.9, 5), out, in);
  Bitmap bitmap(one, dense, out, in);
  std::fill(bitmap.bitmap.begin(), bitmap.bitmap.end(), 0xffffffffu);
  checks.expect(wrongPanel(one, bitmap.weight, out, in) == 0, "a bitmap that disagrees with the offsets is found");
  const Shape shape{rows, in, out, false, false};
  const Inputs inputs(shape);
  forContexts([&](Context& context) { checks.expect(multiply(context, shape, inputs, bitmap.weight).size() == rows * out, "it is multiplied in bounds"); });
}

void checkRefusals(Checks& checks) {
  Context context(2, Isa::generic);
  std::vector<float> weight(20 * 10, 0.0f);
  weight[18 * 10 + 4] = weight[18 * 10 + 5] = weight[18 * 10 + 7] = 1;
  checks.expect(Groups(context, weight, 20, 10, 2, 4).crowded == 18 * 3 + 1, "a crowded group is named by row and group");
  checks.expect(Groups(context, weight, 20, 10, 3, 4).crowded == -1, "and taken where it fits");
  checks.expect(firstNotFinite(context, {Dtype::f32, weight.data(), 20, 10}, Dtype::f32) == -1, "finite weights are taken");
  weight[77] = 3.4e38f;
  checks.expect(firstNotFinite(context, {Dtype::f32, weight.data(), 20, 10}, Dtype::f32) == -1, "the largest float32 are finite");
  checks.expect(firstNotFinite(context, {Dtype::f32, weight.data(), 20, 10}, Dtype::bf16) == 77, "but not in bf16");
  weight[190] = NAN;
  weight[189] = -INFINITY;
  checks.expect(firstNotFinite(context, {Dtype::f32, weight.data(), 20, 10}, Dtype::f32) == 189, "infinity is found");
  Groups groups(context, std::vector<float>(20 * 10), 20, 10, 1, 4);
  groups.places[5] = 2;
  checks.expect(wrongPlaces(context, groups.weight, 20, 10) == 1, "a place beyond the last input is found");
}

void checkUnusualActivations(Checks& checks) {
  const Shape shape{1, 40, 20, true, false};
  Inputs inputs(shape);
  Context context(1, Isa::generic);
  const std::vector<float> weight = randomFloats(shape.in * shape.out, 2);
  const DensePanels dense(context, PanelType::int8, weight, shape.out, shape.in);
  for (float unusual : {NAN, INFINITY, -INFINITY}) {
    inputs.x[7] = unusual;
    forContexts([&](Context& other) {
      const std::vector<float> out = multiply(other, shape, inputs, dense.view());
      checks.expect(std::all_of(out.begin(), out.end(), [](float y) { return std::isnan(y); }), "what is not finite in x gives NaN");
    });
  }
  for (float scale : {0.0f, 1e-42f, 1e-37f}) {
    inputs.x = randomFloats(shape.in, 1, scale);
    const std::vector<float> first = multiply(context, shape, inputs, dense.view());
    for (size_t o = 0; o < shape.out; ++o) checks.expect(std::fabs(first[o] - inputs.bias[o]) <= 1e-7f, "tiny x leaves the bias");
    forContexts([&](Context& other) { checks.expectSameBits(multiply(other, shape, inputs, dense.view()), first, "tiny x"); });
  }
}

void checkShape(Checks& checks, const Shape& shape) {
  for (double zeros : {0.0, 0.1, 0.5, 0.9, 1.0}) {
    checkBf16(checks, shape, zeros);
    checkInt8(checks, shape, zeros);
  }
  for (size_t of : {2, 4, 8, 16})
    for (size_t keep : {size_t{1}, of / 2, of}) checkGroups(checks, shape, keep, of);
}

}  // namespace

int main() {
  Checks checks;
  for (size_t in = 1; in <= 70; ++in) checkShape(checks, {1 + in % 9, in, 21, in % 2 == 1, in % 3 == 0});
  for (size_t out = 1; out <= 40; ++out) checkShape(checks, {1 + out % 3, 37, out, out % 2 == 1, out % 3 == 0});
  for (size_t rows : {1, 3, 4, 25}) checkShape(checks, {rows, 700, 150, true, false});
  for (PanelType type : {PanelType::bf16, PanelType::int8}) {
    for (double zeros : {0.0, 0.5, 0.97, 1.0}) checkRoundTrip(checks, type, 67, 35, zeros);
    for (size_t rows : {1, 2, 3, 6}) checkLyingBitmap(checks, type, rows);
  }
  checkRefusals(checks);
  checkUnusualActivations(checks);
  return checks.report();
}
