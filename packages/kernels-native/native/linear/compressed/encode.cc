#include "linear/compressed/encode.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "cache/bf16.h"

namespace winnow {
namespace {

size_t ceilDiv(size_t x, size_t y) { return (x + y - 1) / y; }

/** The least of the indices that tasks report. */
class Least {
 public:
  void report(size_t index) {
    size_t known = least_.load();
    while (index < known && !least_.compare_exchange_weak(known, index)) {
    }
  }
  ptrdiff_t orNone() const { return least_ == SIZE_MAX ? -1 : static_cast<ptrdiff_t>(least_.load()); }

 private:
  std::atomic<size_t> least_{SIZE_MAX};
};

uint32_t bitsOf(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
uint32_t bitsOf(uint16_t half) { return static_cast<uint32_t>(half) << 16; }

/** Calls `fn(row, elements)` for each of the rows of panel `panel`. */
template <class T, class Fn>
void forRowsOf(const DenseMatrix& weight, size_t panel, const Fn& fn) {
  const size_t end = std::min(panel * 16 + 16, weight.outFeatures);
  for (size_t row = panel * 16; row < end; ++row) fn(row, static_cast<const T*>(weight.data) + row * weight.inFeatures);
}

template <class T>
void reportNotFinite(const DenseMatrix& weight, uint32_t limit, size_t panel, Least& least) {
  forRowsOf<T>(weight, panel, [&](size_t row, const T* x) {
    uint32_t most = 0;
    for (size_t i = 0; i < weight.inFeatures; ++i) most = std::max(most, bitsOf(x[i]) & 0x7fffffff);
    if (most < limit) return;
    const auto* bad = std::find_if(x, x + weight.inFeatures, [&](T value) { return (bitsOf(value) & 0x7fffffff) >= limit; });
    least.report(row * weight.inFeatures + static_cast<size_t>(bad - x));
  });
}

float widen(float x) { return x; }
float widen(uint16_t half) { return fromBf16(half); }

template <class T>
void quantizeRow(const T* x, size_t in, size_t lane, int8_t* panel, float& scale, int32_t& sum) {
  float most = 0;
  for (size_t i = 0; i < in; ++i) most = std::max(most, std::fabs(widen(x[i])));
  scale = most / 127.0f;
  sum = 0;
  for (size_t i = 0; i < in; ++i) {
    // A scale below the normal numbers is too coarse for the quotient to stay within 127.
    const float q = scale > 0 ? std::min(std::max(std::nearbyint(widen(x[i]) / scale), -127.0f), 127.0f) : 0.0f;
    panel[(i / 4 * 16 + lane) * 4 + i % 4] = static_cast<int8_t>(q);
    sum += static_cast<int32_t>(q);
  }
}

bool isStored(uint16_t half) { return (half & 0x7fff) != 0; }
bool isStored(int8_t value) { return value != 0; }

template <class T>
uint32_t markPanel(const T* panel, size_t elements, uint32_t* bitmap) {
  uint32_t count = 0;
  for (size_t word = 0; word < elements / 32; ++word) {
    uint32_t bits = 0;
    for (size_t i = 0; i < 32; ++i) bits |= static_cast<uint32_t>(isStored(panel[word * 32 + i])) << i;
    bitmap[word] = bits;
    count += static_cast<uint32_t>(__builtin_popcount(bits));
  }
  return count;
}

template <class T>
void packPanel(const T* panel, size_t elements, T* values) {
  for (size_t i = 0; i < elements; ++i)
    if (isStored(panel[i])) *values++ = panel[i];
}

/** Places and values of one row go to lane `row % 16` of its panel; both were zeroed. */
template <class T>
void encodeGroupsRow(const T* x, size_t in, size_t row, const GroupsWeight& shape, uint16_t* values, uint32_t* places, Least& crowded) {
  const size_t groups = ceilDiv(in, shape.of), words = placeWords(shape.of), bits = words * 2, lane = row % 16;
  for (size_t group = 0; group < groups; ++group) {
    size_t slot = group * shape.keep;
    for (size_t i = group * shape.of; i < std::min((group + 1) * shape.of, in); ++i) {
      const uint16_t value = toBf16(widen(x[i]));
      if (!isStored(value)) continue;
      if (slot == (group + 1) * shape.keep) return crowded.report(row * groups + group);
      values[slot * 16 + lane] = value;
      places[slot * words + bits * lane / 32] |= static_cast<uint32_t>(i - group * shape.of) << (bits * lane % 32);
      ++slot;
    }
  }
}

}  // namespace

ptrdiff_t firstNotFinite(Context& context, const DenseMatrix& weight, Dtype to) {
  const uint32_t limit = to == Dtype::bf16 && weight.dtype == Dtype::f32 ? 0x7f7f8000 : 0x7f800000;
  Least least;
  context.pool.parallel(ceilDiv(weight.outFeatures, 16), [&](size_t panel, int) {
    const auto report = weight.dtype == Dtype::bf16 ? reportNotFinite<uint16_t> : reportNotFinite<float>;
    report(weight, limit, panel, least);
  });
  return least.orNone();
}

void quantizeWeight(Context& context, const DenseMatrix& weight, int8_t* data, float* scales, int32_t* sums) {
  const size_t in = weight.inFeatures, elements = panelElementsOf(PanelType::int8, in);
  context.pool.parallel(ceilDiv(weight.outFeatures, 16), [&](size_t panel, int) {
    int8_t* to = data + panel * elements;
    std::memset(to, 0, elements);
    const auto quantize = [&](size_t row, const auto* x) { quantizeRow(x, in, row % 16, to, scales[row], sums[row]); };
    weight.dtype == Dtype::bf16 ? forRowsOf<uint16_t>(weight, panel, quantize) : forRowsOf<float>(weight, panel, quantize);
  });
}

bool markStored(Context& context, PanelType type, size_t panels, size_t panelElements, const void* data, uint32_t* bitmap, uint32_t* offsets) {
  context.pool.parallel(panels, [&](size_t panel, int) {
    const size_t first = panel * panelElements;
    offsets[panel + 1] = type == PanelType::bf16 ? markPanel(static_cast<const uint16_t*>(data) + first, panelElements, bitmap + first / 32)
                                                 : markPanel(static_cast<const int8_t*>(data) + first, panelElements, bitmap + first / 32);
  });
  uint64_t sum = offsets[0] = 0;
  for (size_t panel = 1; panel <= panels; ++panel) {
    sum += offsets[panel];
    offsets[panel] = static_cast<uint32_t>(sum);
  }
  return sum <= UINT32_MAX;
}

void packStored(Context& context, PanelType type, size_t panels, size_t panelElements, const void* data, const uint32_t* offsets, void* values) {
  context.pool.parallel(panels, [&](size_t panel, int) {
    const size_t first = panel * panelElements;
    if (type == PanelType::bf16) {
      packPanel(static_cast<const uint16_t*>(data) + first, panelElements, static_cast<uint16_t*>(values) + offsets[panel]);
    } else {
      packPanel(static_cast<const int8_t*>(data) + first, panelElements, static_cast<int8_t*>(values) + offsets[panel]);
    }
  });
}

ptrdiff_t encodeGroups(Context& context, const DenseMatrix& weight, size_t keep, size_t of, uint16_t* values, uint32_t* places) {
  const GroupsWeight shape{keep, of, nullptr, nullptr};
  const size_t slots = ceilDiv(weight.inFeatures, of) * keep, words = placeWords(of);
  Least crowded;
  context.pool.parallel(ceilDiv(weight.outFeatures, 16), [&](size_t panel, int) {
    uint16_t* panelValues = values + panel * slots * 16;
    uint32_t* panelPlaces = places + panel * slots * words;
    std::fill_n(panelValues, slots * 16, uint16_t{0});
    std::fill_n(panelPlaces, slots * words, 0u);
    const auto encode = [&](size_t row, const auto* x) { encodeGroupsRow(x, weight.inFeatures, row, shape, panelValues, panelPlaces, crowded); };
    weight.dtype == Dtype::bf16 ? forRowsOf<uint16_t>(weight, panel, encode) : forRowsOf<float>(weight, panel, encode);
  });
  return crowded.orNone();
}

}  // namespace winnow
