#include <algorithm>
#include <cmath>
#include <vector>

#include "attention/kernels.h"
#include "base/flush_denormals.h"

namespace winnow {
namespace {

/** Tokens that some query heads read together: a KV head with its group, or one head with its list. */
struct Reading {
  size_t firstHead;
  size_t heads;
  size_t kvHead;
  const int32_t* indices;
  size_t count;
  /** Number of chunks of all readings before. */
  size_t firstChunk;

  size_t chunks() const { return (count + kDecodeChunk - 1) / kDecodeChunk; }
};

class Decode {
 public:
  Decode(Context& context, const DecodeTask& task)
      : context_(context),
        task_(task),
        kernels_(attentionKernelsOf(context.isa)),
        shape_(task.k.dtype, task.q.headDim),
        group_(task.q.heads / task.k.heads),
        packedCount_(task.packed == nullptr ? 0 : task.packed->k.length),
        queryStride_(expandedStride(shape_.headDim)),
        partialStride_(shape_.valueDim + 16) {}

  WrongRows run(AttentionCost& cost) {
    listReadings();
    reserve();
    const FlushDenormals mode;
    for (size_t head = 0; head < task_.q.heads; ++head)
      kernels_.prepareQuery(shape_, task_.q.data + head * task_.q.headStride, queryOf(head), queryStride_);
    const Reading& last = readings_.back();
    context_.pool.parallel(last.firstChunk + last.chunks(), [&](size_t chunk, int thread) {
      const FlushDenormals inWorker;
      compute(chunk, thread);
    });
    const WrongRows wrong = firstWrongRows();
    if (!wrong.none()) return wrong;
    for (const Reading& reading : readings_)
      for (size_t g = 0; g < reading.heads; ++g) merge(reading, g);
    cost.cellsComputed = 0;
    cost.bytesRead = 0;
    for (const Reading& reading : readings_) {
      cost.cellsComputed += reading.count * reading.heads;
      cost.bytesRead += (reading.count - packedCount_) * 2 * shape_.headDim * bytesOf(shape_.dtype);
      if (task_.packed != nullptr) cost.bytesRead += packedCount_ * (rowBytes(task_.packed->k) + rowBytes(task_.packed->v));
    }
    return wrong;
  }

 private:
  static size_t bitmapBytes(const PackedView& view) { return (view.headDim + 7) / 8; }
  static size_t rowBytes(const PackedView& view) { return bitmapBytes(view) + view.kept * bytesOf(view.dtype); }

  void listReadings() {
    const bool lists = task_.indices != nullptr;
    size_t chunk = 0;
    for (size_t i = 0; i < (lists ? task_.q.heads : task_.k.heads); ++i) {
      if (lists) {
        const size_t begin = static_cast<size_t>(task_.offsets[i]), end = static_cast<size_t>(task_.offsets[i + 1]);
        readings_.push_back({i, 1, i / group_, task_.indices + begin, end - begin, chunk});
      } else {
        const size_t count = task_.lengths == nullptr ? packedCount_ + task_.k.length : static_cast<size_t>(task_.lengths[i]);
        readings_.push_back({i * group_, group_, i, nullptr, count, chunk});
      }
      chunk += readings_.back().chunks();
    }
  }

  void reserve() {
    const Reading& last = readings_.back();
    const size_t mostHeads = task_.indices == nullptr ? group_ : 1;
    queries_ = context_.activations.reserve<uint8_t>(task_.q.heads * queryStride_ * sizeof(float));
    partials_ = context_.partials.reserve<float>((last.firstChunk + last.chunks()) * mostHeads * partialStride_);
    const size_t packed = packedCount_ == 0 ? 0 : mostHeads * kPackedProducts + kDecodeKeys * expandedStride(shape_.headDim);
    for (AlignedBuffer& scratch : context_.threadScratch) scratch.reserve<float>(mostHeads * kDecodeChunk + packed);
    wrong_.resize(packedCount_ == 0 ? 0 : last.firstChunk + last.chunks());
  }

  uint8_t* queryOf(size_t head) const { return queries_ + head * queryStride_ * bytesOf(shape_.dtype); }

  /** Partials of a reading: `[heads, chunks, partialStride]`. */
  float* partialsOf(const Reading& reading, size_t g) const {
    return partials_ + (reading.firstChunk * reading.heads + g * reading.chunks()) * partialStride_;
  }

  static const uint8_t* headOf(const CacheView& view, size_t head) {
    return static_cast<const uint8_t*>(view.data) + head * view.headStride * bytesOf(view.dtype);
  }

  void compute(size_t chunk, int thread) {
    const auto after = std::upper_bound(readings_.begin(), readings_.end(), chunk, [](size_t c, const Reading& r) { return c < r.firstChunk; });
    const Reading& reading = *(after - 1);
    const size_t index = chunk - reading.firstChunk, first = index * kDecodeChunk;
    const size_t skipped = reading.indices == nullptr && first > packedCount_ ? first - packedCount_ : 0;
    float* scratch = context_.threadScratch[static_cast<size_t>(thread)].reserve<float>(0);
    DecodeChunk job{};
    job.shape = &shape_;
    job.query = queryOf(reading.firstHead);
    job.queryStride = queryStride_;
    job.heads = reading.heads;
    job.keyStride = task_.k.tokenStride;
    job.valueStride = task_.v.tokenStride;
    job.keys = headOf(task_.k, reading.kvHead) + skipped * job.keyStride * bytesOf(shape_.dtype);
    job.values = headOf(task_.v, reading.kvHead) + skipped * job.valueStride * bytesOf(shape_.dtype);
    job.indices = reading.indices == nullptr ? nullptr : reading.indices + first;
    job.count = std::min(kDecodeChunk, reading.count - first);
    job.scale = task_.scale;
    job.weights = scratch;
    job.scores = task_.scores == nullptr ? nullptr : task_.scores + reading.firstHead * task_.k.length + first;
    job.scoreStride = task_.k.length;
    job.partial = partialsOf(reading, 0) + index * partialStride_;
    job.partialStride = reading.chunks() * partialStride_;
    if (first >= packedCount_) return kernels_.decodeChunk(job);
    const size_t packed = std::min(job.count, packedCount_ - first);
    const auto run = [&](const PackedView& view) { return runOf(view, reading.kvHead, first); };
    float* products = scratch + reading.heads * kDecodeChunk;
    const WrongRows wrong =
        kernels_.packedChunk({job, run(task_.packed->k), run(task_.packed->v), packed, products, products + reading.heads * kPackedProducts});
    wrong_[chunk] = {placeOf(reading, first, wrong.k), placeOf(reading, first, wrong.v)};
  }

  static PackedRun runOf(const PackedView& view, size_t head, size_t first) {
    const size_t row = head * view.capacity + first, bytes = view.kept * bytesOf(view.dtype);
    const uint8_t* values = static_cast<const uint8_t*>(view.values);
    return {view.bitmap + row * bitmapBytes(view), values + row * bytes, values + view.heads * view.capacity * bytes, view.kept};
  }

  size_t placeOf(const Reading& reading, size_t first, size_t row) const {
    return row == WrongRows::kNone ? row : reading.kvHead * packedCount_ + first + row;
  }

  WrongRows firstWrongRows() const {
    WrongRows first;
    for (const WrongRows& wrong : wrong_) first = {std::min(first.k, wrong.k), std::min(first.v, wrong.v)};
    return first;
  }

  void merge(const Reading& reading, size_t g) const {
    const size_t head = reading.firstHead + g;
    DecodeMerge job{&shape_, partialsOf(reading, g), reading.chunks(), partialStride_, task_.out.data + head * task_.out.headStride, 0, 0};
    kernels_.decodeMerge(job);
    if (task_.logSumExp == nullptr) return;
    const double sum = job.weightSum;
    task_.logSumExp[head] = sum > 0 ? static_cast<float>(job.largest + std::log(sum)) : -INFINITY;
  }

  Context& context_;
  const DecodeTask& task_;
  const AttentionKernels& kernels_;
  const HeadShape shape_;
  const size_t group_;
  /** Packed tokens before those of k and v. */
  const size_t packedCount_;
  const size_t queryStride_;
  const size_t partialStride_;
  std::vector<Reading> readings_;
  uint8_t* queries_ = nullptr;
  float* partials_ = nullptr;
  /** Of each chunk. */
  std::vector<WrongRows> wrong_;
};

}  // namespace

WrongRows decodeAttention(Context& context, const DecodeTask& task, AttentionCost& cost) { return Decode(context, task).run(cost); }

}  // namespace winnow
