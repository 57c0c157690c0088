#pragma once

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <vector>

#include "base/test.h"

namespace winnow::bench {

/** Seconds of one call. The median is what to quote: a mean would count the interruptions of other programs. */
struct Timing {
  double median;
  double best;
};

template <class Fn>
Timing measure(const Fn& fn, double budgetSeconds = 0.5) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> seconds;
  const Clock::time_point begin = Clock::now();
  double spent = 0;
  // The first call also warms up; long calls need no third one.
  while (seconds.size() < 2 || spent < budgetSeconds) {
    const Clock::time_point start = Clock::now();
    fn();
    const Clock::time_point end = Clock::now();
    seconds.push_back(std::chrono::duration<double>(end - start).count());
    spent = std::chrono::duration<double>(end - begin).count();
  }
  std::sort(seconds.begin(), seconds.end());
  return {seconds[seconds.size() / 2], seconds.front()};
}



struct Arguments {
  int threads = 2;
  Isa isa = chooseIsa(detectCpu()).value();
};

inline Arguments parse(int argc, char** argv) {
  Arguments arguments;
  if (argc > 1) arguments.threads = std::atoi(argv[1]);
  if (argc > 2) arguments.isa = parseIsa(argv[2]).value();
  return arguments;
}

}  // namespace winnow::bench
