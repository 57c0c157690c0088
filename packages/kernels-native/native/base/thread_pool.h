#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace winnow {

/**
 * A few threads that run numbered tasks together with the caller. One caller at a time.
 * Workers spin for some microseconds after a job, since a decoder calls about a hundred times per token, then sleep.
 */
class ThreadPool {
 public:
  /** `threads` counts the caller: 1 starts no thread at all. */
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /** Runs `fn(task, thread)` for every task in [0, tasks), in any order; `thread` is in [0, threads()). `fn` must not throw. */
  template <class Fn>
  void parallel(size_t tasks, const Fn& fn) {
    run(tasks, &fn, [](const void* f, size_t task, int thread) { (*static_cast<const Fn*>(f))(task, thread); });
  }

 private:
  using Call = void (*)(const void* fn, size_t task, int thread);

  void run(size_t tasks, const void* fn, Call call);
  void open();
  void closeAndWait();
  void takeTasks(int thread);
  void work(int thread);
  bool enter(uint64_t& lastJob);
  bool waitForJob(uint64_t lastJob);
  bool isNews(uint64_t lastJob) const;

  std::vector<std::thread> workers_;

  // Written by the caller while the job is closed and nobody is inside.
  const void* fn_ = nullptr;
  Call call_ = nullptr;
  size_t tasks_ = 0;
  alignas(64) std::atomic<size_t> next_{0};

  // Job number, whether it may still be entered, and how many workers are inside: one word, so that a late worker cannot slip into a finished job.
  alignas(64) std::atomic<uint64_t> state_{0};

  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<int> sleeping_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace winnow
