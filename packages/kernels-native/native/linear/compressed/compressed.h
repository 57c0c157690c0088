#pragma once

#include <cstddef>
#include <cstdint>

#include "base/context.h"

namespace winnow {

/** `out[r, o] = bias[o] + sum_i x[r, i] * weight[o, i]`, on top of the old `out` with `accumulate`. `out` must not overlap `x`. */
struct Product {
  /** `[rows, inFeatures]`. */
  const float* x;
  size_t rows;
  size_t inFeatures;
  size_t outFeatures;
  /** `[outFeatures]` or null. */
  const float* bias;
  /** `[rows, outFeatures]`. */
  float* out;
  bool accumulate;
};

enum class PanelType { bf16, int8 };

/** Bytes of one step of a panel, 16 outputs of two bf16 or four int8, and of the activations that it is multiplied with. */
constexpr size_t kPanelStepBytes = 64;
constexpr size_t kPanelStepActivations = 4;

/** Inputs of one lane of a step: two bf16 or four int8. */
static inline size_t inputsPerStep(PanelType type) { return type == PanelType::bf16 ? 2 : 4; }
static inline size_t stepsOf(PanelType type, size_t inFeatures) { return (inFeatures + inputsPerStep(type) - 1) / inputsPerStep(type); }
/** Elements of one panel of 16 outputs. */
static inline size_t panelElementsOf(PanelType type, size_t inFeatures) { return stepsOf(type, inFeatures) * 16 * inputsPerStep(type); }

/** Formats `int8-panel16` and `bitmap` (bf16, int8) of core/src/linear-weight.ts, which says what is stored where. */
struct PanelWeight {
  PanelType type;
  /** All elements, or null: then those whose bit is set stand in `values`. */
  const void* data;
  const uint32_t* bitmap;
  const void* values;
  /** Elements of `values`, 64 bytes of padding included. */
  size_t valuesLength;
  /** Ascending, and the last one leaves the padding; a bitmap that contradicts them gives a wrong result, but never leads out of `values`. */
  const uint32_t* offsets;
  /** int8 only. */
  const float* scales;
  const int32_t* sums;
};

/** Rows whose activations are multiplied with elements expanded in registers; from more on, scratch memory pays. */
constexpr size_t kMostRowsInRegisters = 3;

/**
 * The sums of a bf16 bitmap are those of `linear` for the dense weight, bit by bit; int8 sums are exact. Neither depends on threads, rows per call or
 * instruction set. Up to three rows are multiplied with elements expanded in registers; for more, panels are expanded once into scratch memory.
 */
void linearPanels(Context& context, const Product& product, const PanelWeight& weight);

/** Format `groups`. Places index at most 2^bits activations, so that wrong ones stay inside of scratch memory. */
struct GroupsWeight {
  size_t keep;
  size_t of;
  const uint16_t* values;
  const uint32_t* places;
};

static inline size_t placeWords(size_t of) { return of <= 4 ? 1 : 2; }

void linearGroups(Context& context, const Product& product, const GroupsWeight& weight);

}  // namespace winnow
