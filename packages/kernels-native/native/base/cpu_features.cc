#include "base/cpu_features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace winnow {

#if defined(__x86_64__)
namespace {

/** Not a name that every compiler's __builtin_cpu_supports knows. */
bool hasF16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

bool hasAvx512Bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & (1u << 5)) != 0;
}

bool hasVbmi2AndVnni() {
  constexpr unsigned kBoth = 1u << 6 | 1u << 11;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c & kBoth) == kBoth;
}

}  // namespace
#endif

CpuFeatures detectCpu() {
  CpuFeatures cpu;
#if defined(__x86_64__)
  __builtin_cpu_init();
  cpu.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && hasF16c();
  cpu.avx512 = cpu.avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && hasAvx512Bf16() && hasVbmi2AndVnni();
#endif
  return cpu;
}

bool supports(const CpuFeatures& cpu, Isa isa) {
  switch (isa) {
    case Isa::generic: return true;
    case Isa::avx2: return cpu.avx2;
    case Isa::avx512: return cpu.avx512;
  }
  return false;
}

std::optional<Isa> chooseIsa(const CpuFeatures& cpu, std::optional<Isa> forced) {
  if (forced) return supports(cpu, *forced) ? forced : std::nullopt;
  if (cpu.avx512) return Isa::avx512;
  return cpu.avx2 ? Isa::avx2 : Isa::generic;
}

std::string_view isaName(Isa isa) {
  switch (isa) {
    case Isa::generic: return "generic";
    case Isa::avx2: return "avx2";
    case Isa::avx512: return "avx512";
  }
  return "";
}

std::optional<Isa> parseIsa(std::string_view name) {
  for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512})
    if (name == isaName(isa)) return isa;
  return std::nullopt;
}

}  // namespace winnow
