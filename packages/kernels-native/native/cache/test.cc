#include "base/test.h"

#include <limits>

#include "cache/bf16.h"
#include "cache/cache.h"

using namespace winnow;
using namespace winnow::test;

namespace {

struct Layout {
  size_t headStride;
  size_t tokenStride;
};

Layout layoutOf(size_t heads, size_t length, size_t d, bool tokensFirst) {
  return tokensFirst ? Layout{d, heads * d} : Layout{length * d, d};
}

void checkStore(Checks& checks, size_t heads, size_t length, size_t d, bool tokensFirst) {
  const size_t capacity = length + 5, start = 3;
  const Layout from = layoutOf(heads, length, d, tokensFirst), to = layoutOf(heads, capacity, d, !tokensFirst);
  const std::vector<float> source = randomFloats(heads * length * d, 1);
  for (int threads : {1, 3}) {
    Context context(threads, Isa::generic);
    std::vector<float> floats(heads * capacity * d, 7), expected = floats;
    std::vector<uint16_t> bits(floats.size(), 7), expectedBits = bits;
    const HeadView<const float> view{source.data(), heads, length, d, from.headStride, from.tokenStride};
    storeTokens(context, view, {Dtype::f32, floats.data(), heads, capacity, d, to.headStride, to.tokenStride}, start);
    storeTokens(context, view, {Dtype::bf16, bits.data(), heads, capacity, d, to.headStride, to.tokenStride}, start);
    for (size_t head = 0; head < heads; ++head)
      for (size_t token = 0; token < length; ++token)
        for (size_t c = 0; c < d; ++c) {
          const float value = source[head * from.headStride + token * from.tokenStride + c];
          const size_t at = head * to.headStride + (start + token) * to.tokenStride + c;
          expected[at] = value;
          expectedBits[at] = test::toBf16(value);
        }
    checks.expectSameBits(floats, expected, "storeTokens to float32");
    checks.expect(bits == expectedBits, "storeTokens to bf16");
  }
}

void checkGather(Checks& checks, bool tokensFirst) {
  const size_t heads = 3, length = 50, d = 20;
  const Layout layout = layoutOf(heads, length, d, tokensFirst);
  const std::vector<float> source = randomFloats(heads * length * d, 2);
  const std::vector<int32_t> kept = {0, 1, 2, 40, 49, 7, 8, 48}, offsets = {0, 5, 5, 8};
  std::vector<float> expected = source;
  for (size_t head = 0; head < heads; ++head)
    for (int32_t i = offsets[head]; i < offsets[head + 1]; ++i)
      for (size_t c = 0; c < d; ++c) {
        const size_t to = head * layout.headStride + static_cast<size_t>(i - offsets[head]) * layout.tokenStride + c;
        expected[to] = source[head * layout.headStride + static_cast<size_t>(kept[static_cast<size_t>(i)]) * layout.tokenStride + c];
      }
  for (int threads : {1, 2}) {
    Context context(threads, Isa::generic);
    std::vector<float> data = source;
    gatherTokens(context, {Dtype::f32, data.data(), heads, length, d, layout.headStride, layout.tokenStride}, kept.data(), offsets.data(),
                 {Dtype::f32, data.data(), heads, length, d, layout.headStride, layout.tokenStride});
    checks.expectSameBits(data, expected, "gatherTokens in place");
  }
}

void checkRounding(Checks& checks) {
  const float halfway = 1.0f + 0x1p-8f;
  checks.expect(winnow::toBf16(halfway) == 0x3f80, "bf16 rounds ties to even, down");
  checks.expect(winnow::toBf16(1.0f + 0x1p-7f + 0x1p-8f) == 0x3f82, "bf16 rounds ties to even, up");
  checks.expect(winnow::toBf16(std::numeric_limits<float>::max()) == 0x7f80, "bf16 overflows to infinity");
  checks.expect((winnow::toBf16(std::numeric_limits<float>::quiet_NaN()) & 0x7fff) > 0x7f80, "bf16 keeps NaN");
  checks.expect(winnow::toBf16(-0.0f) == 0x8000, "bf16 keeps the sign of zero");
}

}  // namespace

int main() {
  Checks checks;
  for (size_t heads : {1, 3})
    for (size_t length : {1, 2, 600})
      for (size_t d : {1, 15, 64})
        for (bool tokensFirst : {false, true}) checkStore(checks, heads, length, d, tokensFirst);
  checkGather(checks, false);
  checkGather(checks, true);
  checkRounding(checks);
  return checks.report();
}
