#pragma once

#include <cmath>
#include <cstdio>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/context.h"

/** Small helpers of the native tests; a test program returns `report()`. */
namespace winnow::test {

class Checks {
 public:
  void expect(bool ok, const char* what, const char* detail = "") {
    ++count_;
    if (ok) return;
    if (++failures_ <= 20) std::printf("FAILED %s %s\n", what, detail);
  }

  /** |actual - expected| <= bound at every place; NaN fails. */
  void expectClose(const std::vector<float>& actual, const std::vector<double>& expected, double bound, const char* what) {
    for (size_t i = 0; i < expected.size(); ++i) {
      const double difference = std::fabs(static_cast<double>(actual[i]) - expected[i]);
      if (difference <= bound || static_cast<double>(actual[i]) == expected[i]) continue;
      char detail[160];
      std::snprintf(detail, sizeof detail, "at %zu: actual %.9g, expected %.9g, bound %.3g", i, static_cast<double>(actual[i]), expected[i], bound);
      return expect(false, what, detail);
    }
    expect(true, what);
  }

  void expectSameBits(const std::vector<float>& actual, const std::vector<float>& expected, const char* what) {
    expect(actual.size() == expected.size() && std::memcmp(actual.data(), expected.data(), actual.size() * sizeof(float)) == 0, what, "bits differ");
  }

  int report() const {
    std::printf("%zu checks, %zu failed\n", count_, failures_);
    return failures_ == 0 && count_ > 0 ? 0 : 1;
  }

 private:
  size_t count_ = 0;
  size_t failures_ = 0;
};

/** Uniform in [-1, 1), the same on every machine. */
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2 + 1) {}
  uint32_t next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state_ >> 33);
  }
  float uniform() { return static_cast<float>(next()) * 0x1p-30f - 1.0f; }
  size_t below(size_t bound) { return next() % bound; }

 private:
  uint64_t state_;
};

inline std::vector<float> randomFloats(size_t count, uint64_t seed, float scale = 1.0f) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = scale * random.uniform();
  return values;
}

inline uint16_t toBf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline float fromBf16(uint16_t half) {
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

inline std::vector<uint16_t> toBf16(const std::vector<float>& values) {
  std::vector<uint16_t> halves(values.size());
  for (size_t i = 0; i < values.size(); ++i) halves[i] = toBf16(values[i]);
  return halves;
}

inline std::vector<Isa> availableIsas() {
  std::vector<Isa> isas;
  const CpuFeatures cpu = detectCpu();
  for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512})
    if (supports(cpu, isa)) isas.push_back(isa);
  return isas;
}

}  // namespace winnow::test
