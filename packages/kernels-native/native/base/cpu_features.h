#pragma once

#include <optional>
#include <string_view>

namespace winnow {

/** Instruction sets that kernels are compiled for, worst first. All of them give the same bits. */
enum class Isa { generic, avx2, avx512 };

/** What the processor and the operating system allow; `avx2` includes FMA and F16C, `avx512` the F, BW, VL, DQ, BF16, VNNI and VBMI2 parts
 * (Zen 4, Sapphire Rapids and later; what has less runs the `avx2` kernels). */
struct CpuFeatures {
  bool avx2 = false;
  bool avx512 = false;
};

CpuFeatures detectCpu();

bool supports(const CpuFeatures& cpu, Isa isa);

/** The best instruction set of `cpu`, or `forced`; nothing where `forced` is not supported. */
std::optional<Isa> chooseIsa(const CpuFeatures& cpu, std::optional<Isa> forced = std::nullopt);

std::string_view isaName(Isa isa);

/** Inverse of `isaName`. */
std::optional<Isa> parseIsa(std::string_view name);

}  // namespace winnow
