#include "base/test.h"

#include "elementwise/elementwise.h"

using namespace winnow;
using namespace winnow::test;

namespace {

template <class Run>
std::vector<float> everywhere(Checks& checks, const char* what, const Run& run) {
  std::vector<float> first;
  for (Isa isa : availableIsas())
    for (int threads : {1, 2, 3}) {
      Context context(threads, isa);
      const std::vector<float> result = run(context);
      if (first.empty()) first = result;
      checks.expectSameBits(result, first, what);
    }
  return first;
}

void checkRmsNorm(Checks& checks, size_t rows, size_t width, float scale) {
  const std::vector<float> x = randomFloats(rows * width, 1, scale), weight = randomFloats(width, 2);
  const std::vector<float> out = everywhere(checks, "rmsNorm", [&](Context& context) {
    std::vector<float> result = x;
    rmsNorm(context, {result.data(), rows, width, weight.data(), 1e-6, result.data()});
    return result;
  });
  std::vector<double> expected(rows * width);
  double largest = 0;
  for (size_t r = 0; r < rows; ++r) {
    double squares = 0;
    for (size_t c = 0; c < width; ++c) squares += static_cast<double>(x[r * width + c]) * static_cast<double>(x[r * width + c]);
    const double root = std::sqrt(squares / static_cast<double>(width) + 1e-6);
    for (size_t c = 0; c < width; ++c) {
      expected[r * width + c] = static_cast<double>(x[r * width + c]) / root * static_cast<double>(weight[c]);
      largest = std::fmax(largest, std::fabs(expected[r * width + c]));
    }
  }
  // The factor and two products are rounded.
  checks.expectClose(out, expected, 3 * largest * 0x1p-24, "rmsNorm in place");
}

void checkZeroRow(Checks& checks) {
  Context context(1, availableIsas().back());
  std::vector<float> x(20, 0.0f);
  const std::vector<float> weight(20, 1.0f);
  rmsNorm(context, {x.data(), 1, 20, weight.data(), 0.0, x.data()});
  checks.expectSameBits(x, std::vector<float>(20, 0.0f), "rmsNorm keeps a row of zeros, even with epsilon 0");
}

void checkRope(Checks& checks, size_t heads, size_t length, size_t d, bool tokensFirst) {
  const size_t positions = 50, half = d / 2;
  const size_t headStride = tokensFirst ? d : length * d, tokenStride = tokensFirst ? heads * d : d;
  const std::vector<float> x = randomFloats(heads * length * d, 3);
  std::vector<float> cosine(positions * half), sine(positions * half);
  std::vector<int32_t> position(length);
  for (size_t p = 0; p < positions * half; ++p) {
    cosine[p] = std::cos(static_cast<float>(p) * 0.37f);
    sine[p] = std::sin(static_cast<float>(p) * 0.37f);
  }
  for (size_t t = 0; t < length; ++t) position[t] = static_cast<int32_t>((t * 7 + 3) % positions);
  const std::vector<float> out = everywhere(checks, "rope", [&](Context& context) {
    std::vector<float> result = x;
    rope(context, {{result.data(), heads, length, d, headStride, tokenStride}, position.data(), cosine.data(), sine.data()});
    return result;
  });
  std::vector<double> expected(x.size());
  for (size_t head = 0; head < heads; ++head)
    for (size_t t = 0; t < length; ++t)
      for (size_t c = 0; c < half; ++c) {
        const size_t low = head * headStride + t * tokenStride + c, angle = static_cast<size_t>(position[t]) * half + c;
        const double a = x[low], b = x[low + half], cs = cosine[angle], sn = sine[angle];
        expected[low] = a * cs - b * sn;
        expected[low + half] = b * cs + a * sn;
      }
  checks.expectClose(out, expected, 4 * 0x1p-24, "rope");
}

double activationOf(Activation activation, double x) {
  switch (activation) {
    case Activation::silu: return x / (1 + std::exp(-x));
    case Activation::gelu: return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case Activation::geluTanh: return 0.5 * x * (1 + std::tanh(std::sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
    case Activation::relu: return x > 0 ? x : 0;
  }
  return 0;
}

void checkActivation(Checks& checks, Activation activation, size_t count, float scale) {
  const std::vector<float> gate = randomFloats(count, 4, scale), up = randomFloats(count, 5);
  const std::vector<float> out = everywhere(checks, "gatedActivation", [&](Context& context) {
    std::vector<float> result = gate;
    gatedActivation(context, result.data(), up.data(), count, activation);
    return result;
  });
  std::vector<double> expected(count);
  for (size_t i = 0; i < count; ++i) expected[i] = activationOf(activation, static_cast<double>(gate[i])) * static_cast<double>(up[i]);
  // exp to 2e-7 of an argument that is itself rounded, where the result is small; a few roundings of the gate elsewhere.
  checks.expectClose(out, expected, 4e-7 * static_cast<double>(std::fmax(1.0f, scale)), "gatedActivation");
}

void checkEmbedAndAdd(Checks& checks) {
  for (size_t width : {1, 7, 16, 300}) {
    const std::vector<float> table = randomFloats(9 * width, 6);
    const std::vector<uint16_t> halves = toBf16(table);
    const std::vector<int32_t> ids = {8, 0, 3, 3};
    for (Dtype dtype : {Dtype::f32, Dtype::bf16}) {
      Context context(2, Isa::generic);
      std::vector<float> out(ids.size() * width), expected;
      embed(context, {ids.data(), ids.size(), dtype, dtype == Dtype::f32 ? static_cast<const void*>(table.data()) : halves.data(), width, out.data()});
      for (int32_t id : ids)
        for (size_t c = 0; c < width; ++c) {
          const size_t at = static_cast<size_t>(id) * width + c;
          expected.push_back(dtype == Dtype::f32 ? table[at] : fromBf16(halves[at]));
        }
      checks.expectSameBits(out, expected, "embed copies rows by id");
    }
  }
  const std::vector<float> x = randomFloats(40001, 7), y = randomFloats(40001, 8);
  std::vector<float> expected(x.size());
  for (size_t i = 0; i < x.size(); ++i) expected[i] = x[i] + y[i];
  const std::vector<float> sum = everywhere(checks, "add", [&](Context& context) {
    std::vector<float> result = x;
    add(context, result.data(), y.data(), result.size());
    return result;
  });
  checks.expectSameBits(sum, expected, "add");
}

}  // namespace

int main() {
  Checks checks;
  for (size_t rows : {1, 2, 130})
    for (size_t width : {1, 15, 16, 17, 384})
      for (float scale : {1e-3f, 1.0f, 1e4f}) checkRmsNorm(checks, rows, width, scale);
  checkZeroRow(checks);
  for (size_t d : {2, 6, 32, 64})
    for (size_t length : {1, 5, 400})
      for (bool tokensFirst : {false, true}) checkRope(checks, length == 5 ? 1 : 3, length, d, tokensFirst);
  for (Activation activation : {Activation::silu, Activation::gelu, Activation::geluTanh, Activation::relu})
    for (size_t count : {1, 15, 16, 17, 40000})
      for (float scale : {1.0f, 10.0f, 200.0f}) checkActivation(checks, activation, count, scale);
  checkEmbedAndAdd(checks);
  return checks.report();
}
