#include "base/test.h"

#include <atomic>

using namespace winnow;
using namespace winnow::test;

namespace {

void checkEveryTaskOnce(Checks& checks) {
  for (int threads : {1, 2, 3, 5}) {
    ThreadPool pool(threads);
    checks.expect(pool.threads() == threads, "ThreadPool counts its caller");
    for (size_t tasks : {0, 1, 2, 3, 7, 64, 1000}) {
      std::vector<std::atomic<int>> runs(tasks);
      std::atomic<bool> threadsInRange{true};
      pool.parallel(tasks, [&](size_t task, int thread) {
        ++runs[task];
        if (thread < 0 || thread >= threads) threadsInRange = false;
      });
      bool once = threadsInRange;
      for (const std::atomic<int>& count : runs) once = once && count == 1;
      checks.expect(once, "ThreadPool runs every task exactly once");
    }
  }
}

void checkManySmallJobs(Checks& checks) {
  ThreadPool pool(3);
  size_t expected = 0;
  std::atomic<size_t> sum{0};
  for (size_t job = 0; job < 5000; ++job) {
    const size_t tasks = job % 6;
    pool.parallel(tasks, [&](size_t task, int) { sum += task + 1; });
    expected += tasks * (tasks + 1) / 2;
    if (sum != expected) return checks.expect(false, "ThreadPool finishes a job before it returns");
  }
  checks.expect(true, "ThreadPool finishes a job before it returns");
}

void checkConstruction(Checks& checks) {
  for (int i = 0; i < 50; ++i) {
    ThreadPool idle(3);
    ThreadPool used(2);
    used.parallel(2, [](size_t, int) {});
  }
  checks.expect(true, "ThreadPool may be destroyed used or unused");
}

void checkChooser(Checks& checks) {
  const CpuFeatures none, avx2{true, false}, all{true, true};
  checks.expect(chooseIsa(none) == Isa::generic && chooseIsa(avx2) == Isa::avx2 && chooseIsa(all) == Isa::avx512, "chooseIsa takes the best set");
  checks.expect(chooseIsa(all, Isa::generic) == Isa::generic, "chooseIsa obeys a forced set");
  checks.expect(!chooseIsa(avx2, Isa::avx512), "chooseIsa refuses a forced set that the processor lacks");
  for (Isa isa : {Isa::generic, Isa::avx2, Isa::avx512}) checks.expect(parseIsa(isaName(isa)) == isa, "parseIsa inverts isaName");
  checks.expect(!parseIsa("sse9"), "parseIsa knows no other names");
}

}  // namespace

int main() {
  Checks checks;
  checkEveryTaskOnce(checks);
  checkManySmallJobs(checks);
  checkConstruction(checks);
  checkChooser(checks);
  return checks.report();
}
