#pragma once

#include <cstddef>

#include "base/context.h"

namespace winnow {

/**
 * `c += alpha * a b`, or `a b^T`, in the type T; a `[m, k]`, b `[k, n]` (or `[n, k]`), c `[m, n]`, rows `strideX` elements apart.
 * Sums over 128 terms, scaled and added to c one by one. c must not overlap a or b.
 */
template <class T>
struct Product {
  size_t m, n, k;
  T alpha;
  const T* a;
  size_t strideA;
  const T* b;
  size_t strideB;
  bool bTransposed;
  T* c;
  size_t strideC;
};

template <class T>
void multiply(Context& context, const Product<T>& product);

/** Where panels of b come from: rows [depth) of `[depth, columns]` at b, or of its transpose. */
template <class T>
struct PanelSource {
  const T* b;
  size_t strideB;
  bool transposed;
  size_t columns;
  size_t depth;
};

/** `[ceil(columns / lanes)][depth][lanes]`, zeros behind the last column; scratch memory of the context. */
template <class T>
const T* packPanels(Context& context, const PanelSource<T>& source);

}  // namespace winnow
