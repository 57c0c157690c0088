#include "linear/linear.h"

#include "base/test.h"

using namespace winnow;
using namespace winnow::test;

namespace {

struct Case {
  Dtype dtype;
  size_t rows, in, out;
  bool bias, accumulate;
  float scale = 1.0f;
};

std::vector<uint8_t> packed(Context& context, const std::vector<float>& weight, const Case& c, Dtype from) {
  const size_t steps = c.dtype == Dtype::bf16 ? (c.in + 1) / 2 : c.in;
  std::vector<uint8_t> data((c.out + 15) / 16 * steps * 64, 0xaa);
  const std::vector<uint16_t> halves = toBf16(weight);
  packWeight(context, {from, from == Dtype::bf16 ? static_cast<const void*>(halves.data()) : weight.data(), c.out, c.in, c.dtype, data.data()});
  return data;
}

std::vector<float> run(const Case& c, Isa isa, int threads, const std::vector<float>& x, const std::vector<float>& weight,
                       const std::vector<float>& bias, const std::vector<float>& old) {
  Context context(threads, isa);
  const std::vector<uint8_t> data = packed(context, weight, c, Dtype::f32);
  std::vector<float> out = old;
  linear(context, {x.data(), c.rows, c.in, c.out, c.dtype, data.data(), c.bias ? bias.data() : nullptr, out.data(), c.accumulate});
  return out;
}

/** Plain loops in float64 over the rounded inputs. */
std::vector<double> oracle(const Case& c, const std::vector<float>& x, const std::vector<float>& weight, const std::vector<float>& bias,
                           const std::vector<float>& old) {
  const auto value = [&](float v) { return static_cast<double>(c.dtype == Dtype::bf16 ? fromBf16(toBf16(v)) : v); };
  std::vector<double> out(c.rows * c.out);
  for (size_t r = 0; r < c.rows; ++r)
    for (size_t o = 0; o < c.out; ++o) {
      double sum = (c.bias ? static_cast<double>(bias[o]) : 0) + (c.accumulate ? static_cast<double>(old[r * c.out + o]) : 0);
      for (size_t i = 0; i < c.in; ++i) sum += value(x[r * c.in + i]) * value(weight[o * c.in + i]);
      out[r * c.out + o] = sum;
    }
  return out;
}

void check(Checks& checks, const Case& c) {
  const std::vector<float> x = randomFloats(c.rows * c.in, 1, c.scale), weight = randomFloats(c.out * c.in, 2, c.scale);
  const std::vector<float> bias = randomFloats(c.out, 3), old = randomFloats(c.rows * c.out, 4);
  char name[160];
  std::snprintf(name, sizeof name, "linear %s rows=%zu in=%zu out=%zu bias=%d accumulate=%d", c.dtype == Dtype::bf16 ? "bf16" : "f32", c.rows,
                c.in, c.out, c.bias, c.accumulate);
  const std::vector<float> first = run(c, Isa::generic, 1, x, weight, bias, old);
  // Recursive summation: at most (in + 2) roundings of partial sums no larger than in * scale^2 + 2.
  const double magnitude = static_cast<double>(c.in) * static_cast<double>(c.scale * c.scale) + 2;
  checks.expectClose(first, oracle(c, x, weight, bias, old), static_cast<double>(c.in + 2) * magnitude * 0x1p-24, name);
  for (Isa isa : availableIsas())
    for (int threads : {1, 2, 3}) checks.expectSameBits(run(c, isa, threads, x, weight, bias, old), first, name);
}

void checkRowsAgree(Checks& checks, Dtype dtype) {
  const Case many{dtype, 131, 70, 81, true, false};
  const std::vector<float> x = randomFloats(many.rows * many.in, 1), weight = randomFloats(many.out * many.in, 2), bias = randomFloats(many.out, 3);
  const std::vector<float> all = run(many, availableIsas().back(), 2, x, weight, bias, std::vector<float>(many.rows * many.out));
  for (size_t row : {size_t{0}, size_t{77}, size_t{130}}) {
    const Case one{dtype, 1, many.in, many.out, true, false};
    const std::vector<float> xRow(x.begin() + static_cast<long>(row * many.in), x.begin() + static_cast<long>((row + 1) * many.in));
    const std::vector<float> part(all.begin() + static_cast<long>(row * many.out), all.begin() + static_cast<long>((row + 1) * many.out));
    checks.expectSameBits(run(one, availableIsas().back(), 2, xRow, weight, bias, std::vector<float>(many.out)), part,
                          "linear gives a row the same bits alone and among others");
  }
}

void checkPacking(Checks& checks) {
  for (Dtype to : {Dtype::f32, Dtype::bf16})
    for (size_t in : {1, 2, 15, 16, 17, 33, 70})
      for (size_t out : {1, 16, 21}) {
        const Case c{to, 1, in, out, false, false};
        std::vector<float> weight = randomFloats(out * in, 5);
        for (float& w : weight) w = fromBf16(toBf16(w));
        const size_t perStep = to == Dtype::bf16 ? 2 : 1, steps = (in + perStep - 1) / perStep;
        for (Isa isa : availableIsas())
          for (Dtype from : {Dtype::f32, Dtype::bf16}) {
            Context context(2, isa);
            const std::vector<uint8_t> data = packed(context, weight, c, from);
            bool ok = true;
            for (size_t o = 0; o < (out + 15) / 16 * 16; ++o)
              for (size_t i = 0; i < steps * perStep; ++i) {
                const size_t at = ((o / 16 * steps + i / perStep) * 16 + o % 16) * perStep + i % perStep;
                const float expected = o < out && i < in ? weight[o * in + i] : 0.0f;
                float actual;
                uint16_t half;
                if (to == Dtype::f32) {
                  std::memcpy(&actual, data.data() + at * 4, 4);
                } else {
                  std::memcpy(&half, data.data() + at * 2, 2);
                  actual = fromBf16(half);
                }
                ok = ok && actual == expected;
              }
            checks.expect(ok, "packWeight lays panels of 16 outputs, zero-padded");
          }
      }
}

}  // namespace

int main() {
  Checks checks;
  for (Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    for (size_t rows : {1, 2, 3, 5, 6, 7, 13})
      for (size_t in : {1, 2, 7, 16, 33, 300})
        for (size_t out : {1, 15, 16, 17, 64, 130}) check(checks, {dtype, rows, in, out, rows % 2 == 1, in % 2 == 0});
    check(checks, {dtype, 200, 65, 70, true, false});
    // Products and sums around the smallest normal number, 1.2e-38, where flushing of denormals must agree.
    for (float scale : {1e-20f, 0.5e-19f, 1e-19f, 1.3e-19f, 2e-19f}) check(checks, {dtype, 9, 40, 200, false, false, scale});
    checkRowsAgree(checks, dtype);
  }
  checkPacking(checks);
  return checks.report();
}
