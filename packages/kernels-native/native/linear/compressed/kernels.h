#pragma once

#include "base/cpu_features.h"
#include "linear/compressed/compressed.h"

namespace winnow {

/** A rectangle of a product with panels: some rows times some panels. */
struct PanelBlock {
  const Product* product;
  const PanelWeight* weight;
  /** `[rows, xStride]` bytes: bf16, or quantised with kActivationOffset, zero-padded to whole steps. */
  const uint8_t* x;
  size_t xStride;
  /** int8: `[rows]`. */
  const float* xScales;
  size_t rowBegin, rowEnd;
  size_t panelBegin, panelEnd;
  /** The panel that stands first in `weight->data`. */
  size_t firstPanel;
};

struct GroupsBlock {
  const Product* product;
  const GroupsWeight* weight;
  /** `[rows, xStride]`: rounded to bf16, with 16 or more zeros behind each row. */
  const float* x;
  size_t xStride;
  size_t panelBegin, panelEnd;
};

struct CompressedKernels {
  void (*multiplyPanels)(const PanelBlock&);
  /** Panel `panel` with its zeros into `to`. */
  void (*expandPanel)(const PanelWeight&, size_t inFeatures, size_t panel, uint8_t* to);
  void (*multiplyGroups)(const GroupsBlock&);
  void (*roundPairs)(const float* x, size_t width, uint8_t* to, size_t bytes);
  /** Returns the scale. */
  float (*quantizeRow)(const float* x, size_t width, uint8_t* to, size_t bytes);
  void (*roundFloats)(const float* x, size_t width, float* to, size_t padded);
};

namespace generic {
extern const CompressedKernels compressedKernels;
}
namespace avx2 {
extern const CompressedKernels compressedKernels;
}
namespace avx512 {
extern const CompressedKernels compressedKernels;
}

const CompressedKernels& compressedKernelsOf(Isa isa);

}  // namespace winnow
