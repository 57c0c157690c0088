#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>

namespace winnow {

/** Scratch memory on a 64-byte boundary that only grows; contents are lost when it does. */
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  AlignedBuffer(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(const AlignedBuffer&) = delete;
  AlignedBuffer& operator=(AlignedBuffer&&) = delete;
  ~AlignedBuffer() { std::free(data_); }

  /** At least `count` uninitialised elements. Throws std::bad_alloc. */
  template <class T>
  T* reserve(size_t count) {
    const size_t bytes = (count * sizeof(T) + 63) / 64 * 64;
    if (bytes > bytes_) grow(bytes);
    return static_cast<T*>(data_);
  }

 private:
  void grow(size_t bytes) {
    std::free(data_);
    data_ = nullptr;
    bytes_ = 0;
    data_ = std::aligned_alloc(64, bytes);
    if (data_ == nullptr) throw std::bad_alloc();
    bytes_ = bytes;
  }

  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace winnow
