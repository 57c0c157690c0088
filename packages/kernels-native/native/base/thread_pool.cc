#include "base/thread_pool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace winnow {
namespace {

constexpr uint64_t kInside = 0xffff;
constexpr uint64_t kOpen = 1 << 16;
constexpr int kJobShift = 17;
// About 50 us: longer than the pauses between the operations of a decode step, which would otherwise each pay for waking a thread.
constexpr int kSpins = 5000;

uint64_t jobOf(uint64_t state) { return state >> kJobShift; }

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  for (int thread = 1; thread < threads; ++thread) workers_.emplace_back([this, thread] { work(thread); });
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(size_t tasks, const void* fn, Call call) {
  if (tasks <= 1 || workers_.empty()) {
    for (size_t task = 0; task < tasks; ++task) call(fn, task, 0);
    return;
  }
  fn_ = fn;
  call_ = call;
  tasks_ = tasks;
  next_.store(0, std::memory_order_relaxed);
  open();
  takeTasks(0);
  closeAndWait();
}

void ThreadPool::open() {
  state_.store(((jobOf(state_.load()) + 1) << kJobShift) | kOpen);
  if (sleeping_.load() == 0) return;
  { std::lock_guard<std::mutex> lock(mutex_); }
  wake_.notify_all();
}

void ThreadPool::closeAndWait() {
  uint64_t state = state_.fetch_and(~kOpen) & ~kOpen;
  for (int spin = 0; (state & kInside) != 0; ++spin) {
    if (spin < kSpins) {
      pause();
    } else {
      std::this_thread::yield();
    }
    state = state_.load();
  }
}

void ThreadPool::takeTasks(int thread) {
  for (size_t task; (task = next_.fetch_add(1, std::memory_order_relaxed)) < tasks_;) call_(fn_, task, thread);
}

void ThreadPool::work(int thread) {
  uint64_t lastJob = 0;
  while (waitForJob(lastJob)) {
    if (!enter(lastJob)) continue;
    takeTasks(thread);
    state_.fetch_sub(1);
  }
}

bool ThreadPool::isNews(uint64_t lastJob) const {
  const uint64_t state = state_.load();
  return (state & kOpen) != 0 && jobOf(state) != lastJob;
}

bool ThreadPool::waitForJob(uint64_t lastJob) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (stop_.load()) return false;
    if (isNews(lastJob)) return true;
    pause();
  }
  std::unique_lock<std::mutex> lock(mutex_);
  ++sleeping_;
  wake_.wait(lock, [&] { return stop_.load() || isNews(lastJob); });
  --sleeping_;
  return !stop_.load();
}

bool ThreadPool::enter(uint64_t& lastJob) {
  uint64_t state = state_.load();
  while ((state & kOpen) != 0) {
    if (!state_.compare_exchange_weak(state, state + 1)) continue;
    lastJob = jobOf(state);
    return true;
  }
  return false;
}

}  // namespace winnow
