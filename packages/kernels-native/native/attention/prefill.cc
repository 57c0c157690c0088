#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "attention/kernels.h"
#include "base/flush_denormals.h"

namespace winnow {
namespace {

constexpr double kLn2 = 0.69314718055994530942;
constexpr float kLog2E = 1.44269504f;

/** One query block of one head; `keys` estimates its work. */
struct BlockTask {
  int32_t head;
  int32_t block;
  int64_t keys;
};

const uint8_t* rowOf(const CacheView& view, size_t head, size_t token) {
  return static_cast<const uint8_t*>(view.data) + (head * view.headStride + token * view.tokenStride) * bytesOf(view.dtype);
}

/** Hands out pieces of one allocation, each on a 64-byte boundary; with null it only counts. */
class Carver {
 public:
  explicit Carver(uint8_t* base) : base_(base) {}
  template <class T>
  T* take(size_t count) {
    T* piece = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + used_);
    used_ += (count * sizeof(T) + 63) / 64 * 64;
    return piece;
  }
  size_t used() const { return used_; }

 private:
  uint8_t* base_;
  size_t used_ = 0;
};

BlockState carveState(Carver& carver, const HeadShape& shape, float scale) {
  const size_t rows = kBlockScratchRows;
  BlockState state{};
  state.shape = &shape;
  state.scale = scale;
  state.query = carver.take<uint8_t>(rows * shape.queryStride * bytesOf(shape.dtype));
  state.scores = carver.take<float>(rows * kStepKeys);
  state.weights = shape.dtype == Dtype::bf16 ? carver.take<uint16_t>(rows * kStepKeys) : nullptr;
  state.sums = carver.take<float>(rows * shape.valueDim);
  state.largest = carver.take<float>(rows);
  state.weightSums = carver.take<float>(rows * 16);
  state.gatheredKeys = carver.take<uint8_t>(kStepTiles * shape.keyTileBytes);
  state.gatheredValues = carver.take<uint8_t>(kStepTiles * shape.valueTileBytes);
  return state;
}

class Prefill {
 public:
  Prefill(Context& context, const PrefillTask& task)
      : context_(context),
        task_(task),
        kernels_(attentionKernelsOf(context.isa)),
        shape_(task.k.dtype, task.q.headDim),
        length_(task.q.length),
        tiles_((length_ + kTileKeys - 1) / kTileKeys) {}

  Status run(AttentionCost& cost) {
    reserve();
    pack();
    const std::vector<BlockTask> blocks = heavyFirst();
    context_.pool.parallel(blocks.size(), [&](size_t i, int thread) {
      if (cancelled()) return;
      const FlushDenormals mode;
      compute(blocks[i], thread);
    });
    cost.cellsComputed = cells_.load();
    cost.bytesRead = bytes_.load();
    return stopped_.load() ? Status::cancelled : Status::ok;
  }

 private:
  const PrefillMask& maskOf(size_t head) const { return task_.masks[task_.masks.size() == 1 ? 0 : head]; }
  size_t kvHeadOf(size_t head) const { return head / (task_.q.heads / task_.k.heads); }

  bool cancelled() {
    if (task_.cancel != nullptr && *task_.cancel != 0) stopped_.store(true, std::memory_order_relaxed);
    return stopped_.load(std::memory_order_relaxed);
  }

  void reserve() {
    keys_ = context_.keys.reserve<uint8_t>(task_.k.heads * tiles_ * shape_.keyTileBytes);
    values_ = context_.values.reserve<uint8_t>(task_.k.heads * tiles_ * shape_.valueTileBytes);
    Carver measure(nullptr);
    carveState(measure, shape_, 0);
    for (AlignedBuffer& scratch : context_.threadScratch) scratch.reserve<uint8_t>(measure.used());
  }

  uint8_t* keyTile(size_t kvHead, size_t tile) const { return keys_ + (kvHead * tiles_ + tile) * shape_.keyTileBytes; }
  uint8_t* valueTile(size_t kvHead, size_t tile) const { return values_ + (kvHead * tiles_ + tile) * shape_.valueTileBytes; }

  void pack() {
    constexpr size_t kTilesPerTask = 16;
    const size_t tasks = (tiles_ + kTilesPerTask - 1) / kTilesPerTask;
    context_.pool.parallel(tasks * task_.k.heads, [&](size_t i, int) {
      const size_t kvHead = i / tasks, first = i % tasks * kTilesPerTask;
      for (size_t tile = first; tile < std::min(tiles_, first + kTilesPerTask); ++tile) packTile(kvHead, tile);
    });
  }

  void packTile(size_t kvHead, size_t tile) const {
    PackTile job{};
    job.shape = &shape_;
    for (size_t i = 0; i < 16 && tile * 16 + i < length_; ++i) setRow(job, i, kvHead, tile * 16 + i);
    job.keys = keyTile(kvHead, tile);
    job.values = valueTile(kvHead, tile);
    kernels_.packTile(job);
  }

  void setRow(PackTile& job, size_t lane, size_t kvHead, size_t token) const {
    job.keyRows[lane] = rowOf(task_.k, kvHead, token);
    job.valueRows[lane] = rowOf(task_.v, kvHead, token);
  }

  std::vector<BlockTask> heavyFirst() const {
    std::vector<BlockTask> blocks;
    for (size_t head = 0; head < task_.q.heads; ++head) {
      const PrefillMask& mask = maskOf(head);
      const int64_t rows = blockRows(mask), n = static_cast<int64_t>(length_);
      for (int64_t block = 0; block * rows < n; ++block) {
        const int64_t keys = estimateKeys(mask, block, std::min(n, (block + 1) * rows));
        blocks.push_back({static_cast<int32_t>(head), static_cast<int32_t>(block), keys});
      }
    }
    std::stable_sort(blocks.begin(), blocks.end(), [](const BlockTask& a, const BlockTask& b) { return a.keys > b.keys; });
    return blocks;
  }

  void compute(const BlockTask& block, int thread) {
    const size_t head = static_cast<size_t>(block.head), kvHead = kvHeadOf(head);
    const PrefillMask& mask = maskOf(head);
    const int64_t begin = block.block * blockRows(mask);
    const int64_t end = std::min(static_cast<int64_t>(length_), begin + blockRows(mask));

    Carver carver(context_.threadScratch[static_cast<size_t>(thread)].reserve<uint8_t>(0));
    BlockState state = carveState(carver, shape_, task_.scale * kLog2E);
    state.rows = static_cast<size_t>(end - begin);
    const size_t firstRow = static_cast<size_t>(begin);
    kernels_.beginBlock(state, task_.q.data + head * task_.q.headStride + firstRow * task_.q.tokenStride, task_.q.tokenStride);

    TilePlan plan(mask, block.block, begin, end);
    TileStep refs, following;
    BlockStep step;
    FetchQueue ahead;
    state.ahead = &ahead;
    uint64_t tiles = 0;
    for (bool more = plan.next(refs); more; refs = following) {
      tiles += static_cast<uint64_t>(refs.count);
      step.count = refs.count;
      for (int t = 0; t < refs.count; ++t) locate(mask, refs.tiles[t], state, kvHead, begin, step, t);
      more = plan.next(following);
      ahead.clear();
      if (more && mask.form == MaskForm::ranges) fetchAhead(following, kvHead, state.rows, ahead);
      kernels_.step(state, step);
    }
    kernels_.finishBlock(state, task_.out.data + head * task_.out.headStride + firstRow * task_.out.tokenStride, task_.out.tokenStride);
    if (task_.logSumExp != nullptr) writeLogSumExp(state, task_.logSumExp + head * length_ + firstRow);
    cells_ += tiles * kTileKeys * state.rows;
    bytes_ += tiles * kTileKeys * 2 * shape_.headDim * bytesOf(shape_.dtype);
  }

  void locate(const PrefillMask& mask, const TileRef& ref, const BlockState& state, size_t kvHead, int64_t rowBegin, BlockStep& step, int t) const {
    if (ref.columns == nullptr) {
      const size_t tile = static_cast<size_t>(ref.firstKey / kTileKeys);
      step.tiles[t] = {keyTile(kvHead, tile), valueTile(kvHead, tile)};
    } else {
      step.tiles[t] = gather(ref, state, kvHead, static_cast<size_t>(t));
    }
    step.tested[t] = ref.tested;
    if (!ref.tested) return;
    if (isSameForRows(ref, rowBegin)) {
      std::fill_n(step.kept[t], state.rows, static_cast<uint16_t>(ref.lanes));
      return;
    }
    for (size_t r = 0; r < state.rows; ++r) step.kept[t][r] = static_cast<uint16_t>(keptLanes(mask, ref, rowBegin + static_cast<int64_t>(r)));
  }

  /** Ranges and single columns lie anywhere: what the processor cannot foresee is on the way while the step before it is computed. */
  void fetchAhead(const TileStep& step, size_t kvHead, size_t rows, FetchQueue& ahead) const {
    const size_t rowBytes = shape_.headDim * bytesOf(shape_.dtype);
    for (int t = 0; t < step.count; ++t) {
      const TileRef& ref = step.tiles[t];
      for (int i = 0; i < ref.columnCount; ++i) {
        const size_t token = static_cast<size_t>(ref.columns[i]);
        ahead.push(rowOf(task_.k, kvHead, token), rowBytes);
        ahead.push(rowOf(task_.v, kvHead, token), rowBytes);
      }
      if (ref.columns != nullptr) continue;
      const size_t tile = static_cast<size_t>(ref.firstKey / kTileKeys);
      ahead.push(keyTile(kvHead, tile), shape_.keyTileBytes);
      ahead.push(valueTile(kvHead, tile), shape_.valueTileBytes);
    }
    ahead.share(2 * rows);  // A step has more turns than that.
  }

  StepTile gather(const TileRef& ref, const BlockState& state, size_t kvHead, size_t t) const {
    PackTile job{};
    job.shape = &shape_;
    for (int i = 0; i < ref.columnCount; ++i) setRow(job, static_cast<size_t>(i), kvHead, static_cast<size_t>(ref.columns[i]));
    job.keys = state.gatheredKeys + t * shape_.keyTileBytes;
    job.values = state.gatheredValues + t * shape_.valueTileBytes;
    kernels_.packTile(job);
    return {job.keys, job.values};
  }

  static void writeLogSumExp(const BlockState& state, float* out) {
    for (size_t r = 0; r < state.rows; ++r) {
      const double sum = state.weightSums[r * 16];
      out[r] = sum > 0 ? static_cast<float>((state.largest[r] + std::log2(sum)) * kLn2) : -INFINITY;
    }
  }

  Context& context_;
  const PrefillTask& task_;
  const AttentionKernels& kernels_;
  const HeadShape shape_;
  const size_t length_;
  const size_t tiles_;
  uint8_t* keys_ = nullptr;
  uint8_t* values_ = nullptr;
  std::atomic<uint64_t> cells_{0};
  std::atomic<uint64_t> bytes_{0};
  std::atomic<bool> stopped_{false};
};

}  // namespace

Status prefillAttention(Context& context, const PrefillTask& task, AttentionCost& cost) { return Prefill(context, task).run(cost); }

}  // namespace winnow
