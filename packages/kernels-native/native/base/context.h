#pragma once

#include <vector>

#include "base/aligned_buffer.h"
#include "base/cpu_features.h"
#include "base/thread_pool.h"

namespace winnow {

/** Everything that outlives one call: threads and scratch memory. One per add-on instance, used by one JavaScript thread. */
struct Context {
  Context(int threads, Isa chosen) : isa(chosen), pool(threads), threadScratch(static_cast<size_t>(pool.threads())) {}

  const Isa isa;
  ThreadPool pool;
  AlignedBuffer keys;
  AlignedBuffer values;
  AlignedBuffer activations;
  AlignedBuffer partials;
  std::vector<AlignedBuffer> threadScratch;
};

}  // namespace winnow
