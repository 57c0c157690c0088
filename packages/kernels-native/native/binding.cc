#include "binding_fields.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <vector>

#include "algebra/algebra.h"
#include "channels/fields.h"
#include "elementwise/elementwise.h"
#include "linear/compressed/fields.h"
#include "linear/linear.h"
#include "packed/fields.h"
#include "primitives/primitives.h"

namespace winnow::binding {
namespace {

/** What the processor allows and this build contains. */
CpuFeatures usableFeatures() {
  CpuFeatures cpu = detectCpu();
#ifdef WINNOW_NO_X86
  cpu.avx2 = false;
#endif
#ifdef WINNOW_NO_AVX512
  cpu.avx512 = false;
#endif
  return cpu;
}

double product(size_t a, size_t b) { return static_cast<double>(a) * static_cast<double>(b); }

Activation activationOf(const Fields& f, const char* field) {
  const std::string name = f.text(field);
  if (name == "silu") return Activation::silu;
  if (name == "gelu") return Activation::gelu;
  if (name == "gelu-tanh") return Activation::geluTanh;
  f.require(name == "relu", field, "be silu, gelu, gelu-tanh or relu");
  return Activation::relu;
}

Band bandOf(const Fields& f) {
  return {f.integer("sinkTokens", 0, kMostOffset), f.integer("recentTokens", 1, kMostOffset), f.integer("denseFromRow", 0, kMostOffset)};
}

size_t readBands(const Fields& f, PrefillMask& mask) {
  const Napi::Value value = f.get("bands");
  f.require(value.IsArray(), "bands", "be an array");
  const Napi::Array bands = value.As<Napi::Array>();
  f.require(bands.Length() <= kMaxBands, "bands", "hold at most 8 bands");
  for (uint32_t t = 0; t < bands.Length(); ++t) mask.bands[t] = bandOf(Fields(bands.Get(t), "bands[" + std::to_string(t) + "]"));
  return bands.Length();
}

PrefillMask maskOf(const Fields& f, size_t n) {
  PrefillMask mask;
  const std::string form = f.text("form");
  if (form == "dense") return mask;
  const size_t bands = readBands(f, mask);
  if (form == "band") {
    f.require(bands == 1, "bands", "hold one band");
    mask.form = MaskForm::band;
    return mask;
  }
  f.require(form == "ranges", "form", "be dense, band or ranges");
  mask.form = MaskForm::ranges;
  mask.blockSize = f.integer("blockSize", 1, static_cast<double>(kQueryBlock));
  const RangeArrays arrays{f.indices("rangeOffsets"), f.indices("ranges"), f.bytes("rangeFlags"), f.indices("columnOffsets"), f.indices("columns"),
                           bands};
  f.requireNone(problemOfRanges(arrays, static_cast<int64_t>(n), mask.blockSize));
  mask.rangeOffsets = arrays.rangeOffsets.data;
  mask.ranges = arrays.ranges.data;
  mask.rangeFlags = arrays.rangeFlags.data;
  mask.columnOffsets = arrays.columnOffsets.data;
  mask.columns = arrays.columns.data;
  return mask;
}

std::vector<PrefillMask> masksOf(const Fields& f, size_t heads, size_t n) {
  const Napi::Value value = f.get("masks");
  f.require(value.IsArray(), "masks", "be an array");
  const Napi::Array array = value.As<Napi::Array>();
  f.require(array.Length() == 1 || array.Length() == heads, "masks", "hold one mask, or one per query head");
  std::vector<PrefillMask> masks;
  for (uint32_t i = 0; i < array.Length(); ++i) masks.push_back(maskOf(Fields(array.Get(i), "masks[" + std::to_string(i) + "]"), n));
  return masks;
}

/** What prefill and decode share, of shapes that fit each other. */
struct AttentionHeads {
  explicit AttentionHeads(const Fields& f) : q(f.floatHeads("q")), k(f.heads("k")), v(f.heads("v")), out(f.floatHeads("out")) {
    f.require(q.headDim <= kMostHeadDim, "q.headDim", "be at most 256");
    f.require(k.headDim == q.headDim && v.headDim == q.headDim && out.headDim == q.headDim, "q.headDim", "be that of k, v and out");
    f.require(k.heads == v.heads && k.length == v.length && k.dtype == v.dtype, "v", "have the heads, length and dtype of k");
    f.require(out.heads == q.heads && out.length == q.length, "out", "have the heads and length of q");
    f.require(q.heads % k.heads == 0, "q.heads", "be a multiple of k.heads");
  }

  Heads q, k, v, out;
};

/** One query per head over at least one token. */
DecodeTask decodeTaskOf(const Fields& f, const AttentionHeads& heads) {
  const auto& [q, k, v, out] = heads;
  f.require(q.length == 1, "q.length", "be 1");
  f.require(k.length >= 1, "k.length", "be at least 1");
  DecodeTask task{q.view<const float>(), k.cache(), v.cache(), out.view<float>(), static_cast<float>(f.number("scale"))};
  task.logSumExp = f.floatsOrNull("logSumExp", static_cast<double>(q.heads));
  return task;
}

/** Operations of one thread pool and instruction set. */
class Kernels : public Napi::ObjectWrap<Kernels> {
 public:
  static Napi::Function define(Napi::Env env);

  explicit Kernels(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Kernels>(info) {
    const Fields f(info[0]);
    const std::optional<Isa> isa = parseIsa(f.text("isa"));
    f.require(isa && supports(usableFeatures(), *isa), "isa", "be one that this processor and build support");
    const int threads = static_cast<int>(f.integer("threads", 1, 1024));
    try {
      context_ = std::make_unique<Context>(threads, *isa);
    } catch (const std::exception& error) {
      throw Napi::Error::New(info.Env(), std::string("cannot start ") + std::to_string(threads) + " threads: " + error.what());
    }
  }

 private:
  using Method = Napi::Value (Kernels::*)(Napi::Env env, const Fields& fields);

  /** Every operation enters here: one argument with named fields, and no foreign exception may cross into Node. */
  template <Method method>
  Napi::Value call(const Napi::CallbackInfo& info) {
    const Fields fields(info[0]);
    if (!context_) fields.fail("these kernels were closed");
    try {
      return (this->*method)(info.Env(), fields);
    } catch (const std::bad_alloc&) {
      throw Napi::Error::New(info.Env(), "out of memory for scratch buffers");
    }
  }

  template <Method method>
  static Napi::ClassPropertyDescriptor<Kernels> operation(const char* name) {
    return InstanceMethod<&Kernels::call<method>>(name);
  }

  Napi::Value close(const Napi::CallbackInfo& info) {
    context_.reset();
    return info.Env().Undefined();
  }

  Napi::Value packWeight(Napi::Env env, const Fields& f) {
    const size_t out = f.count("outFeatures", 1);
    const size_t in = f.count("inFeatures", 1);
    const FloatArray weight = f.floatArray("data", product(out, in));
    const FloatArray packed = f.floatArray("packed");
    f.require(static_cast<double>(packed.size) >= panelElements(packed.dtype, out, in), "packed", "hold every panel");
    winnow::packWeight(*context_, {weight.dtype, weight.data, out, in, packed.dtype, packed.data});
    return env.Undefined();
  }

  static double panelElements(Dtype dtype, size_t out, size_t in) {
    const size_t padded = dtype == Dtype::bf16 ? (in + 1) / 2 * 2 : in;
    return product((out + 15) / 16 * 16, padded);
  }

  Napi::Value linear(Napi::Env env, const Fields& f) {
    const size_t rows = f.count("rows");
    const size_t out = f.count("outFeatures", 1);
    const size_t in = f.count("inFeatures", 1);
    const FloatArray weight = f.floatArray("data");
    f.require(static_cast<double>(weight.size) >= panelElements(weight.dtype, out, in), "data", "hold every panel");
    winnow::linear(*context_, {f.floats("x", product(rows, in)), rows, in, out, weight.dtype, weight.data,
                               f.floatsOrNull("bias", static_cast<double>(out)), f.floats("out", product(rows, out)),
                               f.get("accumulate").ToBoolean()});
    return env.Undefined();
  }

  Napi::Value linearPanels(Napi::Env env, const Fields& f) {
    const Fields weight = f.object("weight");
    winnow::linearPanels(*context_, productOf(f, weight), panelWeightOf(weight));
    return env.Undefined();
  }

  Napi::Value linearGroups(Napi::Env env, const Fields& f) {
    const Fields weight = f.object("weight");
    winnow::linearGroups(*context_, productOf(f, weight), groupsWeightOf(weight));
    return env.Undefined();
  }

  static Napi::Value index(Napi::Env env, ptrdiff_t place) { return Napi::Number::New(env, static_cast<double>(place)); }

  Napi::Value firstNotFinite(Napi::Env env, const Fields& f) {
    return index(env, winnow::firstNotFinite(*context_, denseMatrixOf(f), f.dtype("to")));
  }

  Napi::Value quantizeWeight(Napi::Env env, const Fields& f) {
    const DenseMatrix weight = denseMatrixOf(f);
    const double rows = static_cast<double>(weight.outFeatures);
    const double elements = panelCount(weight.outFeatures) * static_cast<double>(panelElementsOf(PanelType::int8, weight.inFeatures));
    f.require(static_cast<double>(weight.inFeatures) <= kMostInt8Inputs, "inFeatures", "be at most 131072 for int8");
    winnow::quantizeWeight(*context_, weight, const_cast<int8_t*>(f.signedBytes("packed", elements).data), f.floats("scales", rows),
                           f.indicesOut("sums", rows));
    return env.Undefined();
  }

  /** Bitmap and offsets of dense panels, and with `values` the elements; false if there are more than 2^32 - 1. */
  Napi::Value storeNonZeros(Napi::Env env, const Fields& f) {
    const size_t panels = f.count("panels", 1), elements = f.count("panelElements", 1);
    f.require(elements % 32 == 0, "panelElements", "be a multiple of 32");
    const PanelType type = f.text("dtype") == "int8" ? PanelType::int8 : PanelType::bf16;
    const double all = product(panels, elements);
    const void* data = type == PanelType::int8 ? static_cast<const void*>(f.signedBytes("data", all).data) : f.halves("data", all).data;
    uint32_t* bitmap = const_cast<uint32_t*>(f.words("bitmap", all / 32).data);
    uint32_t* offsets = const_cast<uint32_t*>(f.words("offsets", static_cast<double>(panels + 1)).data);
    const bool fits = winnow::markStored(*context_, type, panels, elements, data, bitmap, offsets);
    if (fits && f.has("values")) {
      const double stored = offsets[panels];
      const void* values = type == PanelType::int8 ? static_cast<const void*>(f.signedBytes("values", stored).data) : f.halves("values", stored).data;
      winnow::packStored(*context_, type, panels, elements, data, offsets, const_cast<void*>(values));
    }
    return Napi::Boolean::New(env, fits);
  }

  Napi::Value encodeGroups(Napi::Env env, const Fields& f) {
    const DenseMatrix weight = denseMatrixOf(f);
    const GroupsWeight shape = groupsShapeOf(f);
    const double slots = panelCount(weight.outFeatures) * static_cast<double>((weight.inFeatures + shape.of - 1) / shape.of * shape.keep);
    uint16_t* values = const_cast<uint16_t*>(f.halves("values", slots * 16).data);
    uint32_t* places = const_cast<uint32_t*>(f.words("places", slots * static_cast<double>(placeWords(shape.of))).data);
    return index(env, winnow::encodeGroups(*context_, weight, shape.keep, shape.of, values, places));
  }

  Napi::Value wrongPanel(Napi::Env env, const Fields& f) {
    const PanelWeight weight = panelWeightOf(f);
    f.require(weight.data == nullptr, "data", "be absent");
    return index(env, winnow::wrongPanel(*context_, weight, f.count("outFeatures"), f.count("inFeatures")));
  }
  Napi::Value wrongSum(Napi::Env env, const Fields& f) {
    const PanelWeight weight = panelWeightOf(f);
    f.require(weight.sums != nullptr, "dtype", "be int8");
    return index(env, winnow::wrongSum(*context_, weight, f.count("outFeatures"), f.count("inFeatures")));
  }
  Napi::Value wrongPlaces(Napi::Env env, const Fields& f) {
    return index(env, winnow::wrongPlaces(*context_, groupsWeightOf(f), f.count("outFeatures"), f.count("inFeatures")));
  }

  Napi::Value channelsLinear(Napi::Env env, const Fields& f) { return readBytes(env, winnow::channelsLinear(*context_, channelsTaskOf(f))); }
  Napi::Value rowsLinear(Napi::Env env, const Fields& f) { return readBytes(env, winnow::denseRows(*context_, denseRowsOf(f, false))); }
  Napi::Value gatedLinear(Napi::Env env, const Fields& f) {
    return readBytes(env, winnow::gatedLinear(*context_, gatedTaskOf(f, activationOf(f, "activation"))));
  }

  Napi::Value embed(Napi::Env env, const Fields& f) {
    const size_t width = f.count("width", 1);
    const Span<int32_t> ids = f.indices("ids");
    const FloatArray table = f.floatArray("table");
    const size_t vocabulary = table.size / width;
    f.requireNone(problemOfIndices("ids", ids, static_cast<int64_t>(vocabulary)));
    winnow::embed(*context_, {ids.data, ids.size, table.dtype, table.data, width, f.floats("out", product(ids.size, width))});
    return env.Undefined();
  }

  Napi::Value rmsNorm(Napi::Env env, const Fields& f) {
    const size_t rows = f.count("rows");
    const size_t width = f.count("width", 1);
    winnow::rmsNorm(*context_, {f.floats("x", product(rows, width)), rows, width, f.floats("weight", static_cast<double>(width)),
                                f.number("epsilon"), f.floats("out", product(rows, width))});
    return env.Undefined();
  }

  Napi::Value rope(Napi::Env env, const Fields& f) {
    const Heads x = f.floatHeads("x");
    f.require(x.headDim % 2 == 0, "x.headDim", "be even");
    const Span<int32_t> positions = f.indices("positions", static_cast<double>(x.length));
    const Span<float> cosine = f.floatSpan("cos");
    const Span<float> sine = f.floatSpan("sin");
    const size_t rows = std::min(cosine.size, sine.size) / (x.headDim / 2);
    f.requireNone(problemOfIndices("positions", {positions.data, x.length}, static_cast<int64_t>(rows)));
    winnow::rope(*context_, {x.view<float>(), positions.data, cosine.data, sine.data});
    return env.Undefined();
  }

  Napi::Value gatedActivation(Napi::Env env, const Fields& f) {
    const size_t count = f.count("count");
    const double least = static_cast<double>(count);
    winnow::gatedActivation(*context_, f.floats("gate", least), f.floats("up", least), count, activationOf(f, "activation"));
    return env.Undefined();
  }

  Napi::Value add(Napi::Env env, const Fields& f) {
    const size_t count = f.count("count");
    winnow::add(*context_, f.floats("x", static_cast<double>(count)), f.floats("y", static_cast<double>(count)), count);
    return env.Undefined();
  }

  Napi::Value storeTokens(Napi::Env env, const Fields& f) {
    const Heads source = f.floatHeads("source");
    const Heads target = f.heads("target");
    const size_t start = f.count("start");
    f.require(target.heads == source.heads && target.headDim == source.headDim, "target", "have the heads and headDim of source");
    f.require(start + source.length <= target.length, "start", "leave room for every token");
    winnow::storeTokens(*context_, source.view<const float>(), target.target(), start);
    return env.Undefined();
  }

  Napi::Value gatherTokens(Napi::Env env, const Fields& f) {
    const Heads x = f.heads("x");
    const Heads target = f.heads("target");
    const IndexLists lists{f.indices("kept"), f.indices("keptOffsets")};
    f.require(target.heads == x.heads && target.headDim == x.headDim && target.dtype == x.dtype, "target", "have the heads, headDim and dtype of x");
    f.requireNone(problemOfLists(lists, x.heads, [&](size_t) { return static_cast<int64_t>(x.length); }, true));
    for (size_t head = 0; head < x.heads; ++head) {
      const int32_t count = lists.offsets.data[head + 1] - lists.offsets.data[head];
      f.require(static_cast<size_t>(count) <= target.length, "target.length", "be at least the tokens kept in each head");
    }
    winnow::gatherTokens(*context_, x.cache(), lists.indices.data, lists.offsets.data, target.target());
    return env.Undefined();
  }

  Napi::Value prefillAttention(Napi::Env env, const Fields& f) {
    const AttentionHeads heads(f);
    const auto& [q, k, v, out] = heads;
    f.require(k.length == q.length, "k.length", "be q.length");
    PrefillTask task{q.view<const float>(), k.cache(), v.cache(), out.view<float>(), static_cast<float>(f.number("scale")),
                     masksOf(f, q.heads, q.length)};
    task.logSumExp = f.floatsOrNull("logSumExp", product(q.heads, q.length));
    if (f.has("cancel")) task.cancel = f.indices("cancel", 1).data;
    AttentionCost cost;
    const Status status = winnow::prefillAttention(*context_, task, cost);
    return costObject(env, cost, status == Status::cancelled);
  }

  Napi::Value decodeAttention(Napi::Env env, const Fields& f) {
    const AttentionHeads heads(f);
    const Heads &q = heads.q, &k = heads.k;
    DecodeTask task = decodeTaskOf(f, heads);
    const int32_t* lengths = f.has("lengths") ? f.indices("lengths", static_cast<double>(k.heads)).data : nullptr;
    for (size_t g = 0; lengths && g < k.heads; ++g) {
      f.require(lengths[g] >= 1 && static_cast<size_t>(lengths[g]) <= k.length, "lengths", "be in 1..k.length");
    }
    if (f.has("tokens")) {
      readTokens(f.object("tokens"), q, k, lengths, task);
    } else {
      task.lengths = lengths;
      task.scores = f.floatsOrNull("scores", product(q.heads, k.length));
    }
    AttentionCost cost;
    winnow::decodeAttention(*context_, task, cost);
    return costObject(env, cost, false);
  }

  Napi::Value packTokens(Napi::Env env, const Fields& f) {
    packTokensOf(*context_, f);
    return env.Undefined();
  }

  Napi::Value packedAttention(Napi::Env env, const Fields& f) {
    const AttentionHeads heads(f);
    DecodeTask task = decodeTaskOf(f, heads);
    const PackedCache packed{packedOf(f, "packedK"), packedOf(f, "packedV")};
    requireSameRows(f, "packedK", packed.k, heads.k);
    requireSameRows(f, "packedV", packed.v, heads.v);
    f.require(packed.k.length >= 1 && packed.k.length == packed.v.length, "packedK.length", "be at least 1 and packedV.length");
    task.packed = &packed;
    AttentionCost cost;
    const WrongRows wrong = winnow::decodeAttention(*context_, task, cost);
    requireNoneWrong(f, "packedK", packed.k, wrong.k);
    requireNoneWrong(f, "packedV", packed.v, wrong.v);
    return costObject(env, cost, false);
  }

  static void readTokens(const Fields& f, const Heads& q, const Heads& k, const int32_t* lengths, DecodeTask& task) {
    const IndexLists lists{f.indices("indices"), f.indices("offsets")};
    const size_t group = q.heads / k.heads;
    const auto cached = [&](size_t head) { return lengths ? int64_t{lengths[head / group]} : static_cast<int64_t>(k.length); };
    f.requireNone(problemOfLists(lists, q.heads, cached, false));
    task.indices = lists.indices.data;
    task.offsets = lists.offsets.data;
  }

  static Napi::Value costObject(Napi::Env env, const AttentionCost& cost, bool cancelled) {
    Napi::Object result = Napi::Object::New(env);
    result["cellsComputed"] = static_cast<double>(cost.cellsComputed);
    result["bytesRead"] = static_cast<double>(cost.bytesRead);
    result["cancelled"] = cancelled;
    return result;
  }

  Napi::Value scores(Napi::Env env, const Fields& f) {
    const Heads q = f.floatHeads("q");
    const Heads k = f.heads("k");
    const size_t head = f.count("head");
    const size_t kvHead = f.count("kvHead");
    f.require(head < q.heads, "head", "be below q.heads");
    f.require(kvHead < k.heads, "kvHead", "be below k.heads");
    f.require(q.headDim == k.headDim, "k.headDim", "be q.headDim");
    const int64_t offset = f.has("causalOffset") ? f.integer("causalOffset", -kMostCount) : kNotCausal;
    float* out = f.floats("out", product(q.length, k.length));
    const char* keys = static_cast<const char*>(k.data) + kvHead * k.headStride * bytesOf(k.dtype);
    winnow::scores(*context_, {static_cast<const float*>(q.data) + head * q.headStride, q.length, q.tokenStride, k.dtype, keys, k.length,
                               k.tokenStride, k.headDim, static_cast<float>(f.number("scale")), offset, out});
    return env.Undefined();
  }

  Napi::Value outerScores(Napi::Env env, const Fields& f) {
    const size_t d = f.count("d", 1);
    const Span<float> x = f.floatSpan("x");
    const Span<float> y = f.floatSpan("y");
    const size_t rows = x.size / d;
    const size_t columns = y.size / d;
    winnow::scores(*context_, {x.data, rows, d, Dtype::f32, y.data, columns, d, d, static_cast<float>(f.number("scale")), kNotCausal,
                               f.floats("out", product(rows, columns))});
    return env.Undefined();
  }

  Napi::Value softmaxRows(Napi::Env env, const Fields& f) {
    const size_t rows = f.count("rows");
    const size_t columns = f.count("columns");
    const ptrdiff_t bad = winnow::softmaxRows(*context_, f.floats("x", product(rows, columns)), rows, columns);
    return Napi::Number::New(env, static_cast<double>(bad));
  }

  Napi::Value columnSums(Napi::Env env, const Fields& f) { return sums(env, f, winnow::columnSums); }
  Napi::Value diagonalSums(Napi::Env env, const Fields& f) { return sums(env, f, winnow::diagonalSums); }

  Napi::Value sums(Napi::Env env, const Fields& f, void (*sum)(Context&, const float*, size_t, size_t, float*)) {
    const size_t rows = f.count("rows");
    const size_t columns = f.count("columns");
    sum(*context_, f.floats("x", product(rows, columns)), rows, columns, f.floats("out", static_cast<double>(columns)));
    return env.Undefined();
  }

  Napi::Value poolMean(Napi::Env env, const Fields& f) {
    const Heads x = f.heads("x");
    const size_t head = f.count("head");
    const size_t blockSize = f.count("blockSize", 1);
    f.require(head < x.heads, "head", "be below x.heads");
    const Span<float> out = f.floatSpan("out");
    const size_t blocks = out.size / x.headDim;
    f.require(product(blocks, blockSize) >= static_cast<double>(x.length), "out", "hold every block");
    const char* first = static_cast<const char*>(x.data) + (x.length == 0 ? 0 : head * x.headStride * bytesOf(x.dtype));
    winnow::poolMean(*context_, {x.dtype, first, x.length, x.headDim, x.tokenStride, blockSize, blocks, const_cast<float*>(out.data)});
    return env.Undefined();
  }

  Napi::Value topKRows(Napi::Env env, const Fields& f) {
    const size_t rows = f.count("rows");
    const size_t columns = f.count("columns");
    const size_t k = f.count("k");
    f.require(k <= columns, "k", "be at most columns");
    return Napi::Boolean::New(env, winnow::topKRows(*context_, f.floats("values", product(rows, columns)), rows, columns, k,
                                                    f.indicesOut("out", product(rows, k))));
  }

  Napi::Value prefixMass(Napi::Env env, const Fields& f) {
    const Span<float> values = f.floatSpan("values");
    f.require(static_cast<double>(values.size) <= kMostCount, "values", "hold fewer than 2^31 elements");
    const ptrdiff_t count =
        winnow::prefixMass(*context_, values.data, values.size, f.number("mass"), f.indicesOut("out", static_cast<double>(values.size)));
    return Napi::Number::New(env, static_cast<double>(count));
  }

  /** Elements from the first to the last of a matrix whose rows are `stride` apart. */
  static double extent(size_t rows, size_t columns, size_t stride) {
    if (rows == 0 || columns == 0) return 0;
    return product(rows - 1, stride) + static_cast<double>(columns);
  }

  static size_t stride(const Fields& f, const char* field, size_t columns) { return f.count(field, static_cast<double>(columns)); }

  Napi::Value accumulateGram(Napi::Env env, const Fields& f) {
    const size_t rows = f.count("rows"), width = f.count("width");
    winnow::accumulateGram(*context_, f.floats("x", product(rows, width)), rows, width, f.floats("gram", product(width, width)));
    return env.Undefined();
  }

  Napi::Value inverseCholesky(Napi::Env env, const Fields& f) {
    const size_t n = f.count("n");
    const float* h = f.floats("h", product(n, n));
    const ptrdiff_t column = winnow::inverseCholesky(*context_, h, n, f.number("damping"), f.floats("out", product(n, n)));
    return Napi::Number::New(env, static_cast<double>(column));
  }

  Napi::Value truncatedSvd(Napi::Env env, const Fields& f) {
    const size_t rows = f.count("rows"), columns = f.count("columns"), rank = f.count("rank");
    f.require(rank <= std::min(rows, columns), "rank", "be at most rows and columns");
    winnow::truncatedSvd(*context_, {f.floats("a", product(rows, columns)), rows, columns, rank, f.floats("u", product(rows, rank)),
                                     f.floats("s", static_cast<double>(rank)), f.floats("v", product(columns, rank))});
    return env.Undefined();
  }

  Napi::Value multiplyAdd(Napi::Env env, const Fields& f) {
    const size_t m = f.count("m"), n = f.count("n"), k = f.count("k");
    const size_t strideA = stride(f, "strideA", k), strideB = stride(f, "strideB", n), strideC = stride(f, "strideC", n);
    winnow::multiplyAdd(*context_, {m, n, k, static_cast<float>(f.number("alpha")), f.floats("a", extent(m, k, strideA)), strideA,
                                    f.floats("b", extent(k, n, strideB)), strideB, f.floats("c", extent(m, n, strideC)), strideC});
    return env.Undefined();
  }

  Napi::Value columnNorms(Napi::Env env, const Fields& f) {
    const size_t rows = f.count("rows"), columns = f.count("columns");
    winnow::columnNorms(*context_, f.floats("x", product(rows, columns)), rows, columns, f.floats("out", static_cast<double>(columns)));
    return env.Undefined();
  }

  Napi::Value firstNonFinite(Napi::Env env, const Fields& f) {
    const size_t rows = f.count("rows"), columns = f.count("columns");
    const size_t rowStride = stride(f, "stride", columns);
    const ptrdiff_t place = winnow::firstNonFinite(*context_, f.floats("x", extent(rows, columns, rowStride)), rows, columns, rowStride);
    return Napi::Number::New(env, static_cast<double>(place));
  }

  std::unique_ptr<Context> context_;
};

Napi::Function Kernels::define(Napi::Env env) {
  return DefineClass(env, "Kernels",
                     {
                         InstanceMethod<&Kernels::close>("close"),
                         operation<&Kernels::packWeight>("packWeight"),
                         operation<&Kernels::linear>("linear"),
                         operation<&Kernels::linearPanels>("linearPanels"),
                         operation<&Kernels::linearGroups>("linearGroups"),
                         operation<&Kernels::firstNotFinite>("firstNotFinite"),
                         operation<&Kernels::quantizeWeight>("quantizeWeight"),
                         operation<&Kernels::storeNonZeros>("storeNonZeros"),
                         operation<&Kernels::encodeGroups>("encodeGroups"),
                         operation<&Kernels::wrongPanel>("wrongPanel"),
                         operation<&Kernels::wrongSum>("wrongSum"),
                         operation<&Kernels::wrongPlaces>("wrongPlaces"),
                         operation<&Kernels::channelsLinear>("channelsLinear"),
                         operation<&Kernels::rowsLinear>("rowsLinear"),
                         operation<&Kernels::gatedLinear>("gatedLinear"),
                         operation<&Kernels::embed>("embed"),
                         operation<&Kernels::rmsNorm>("rmsNorm"),
                         operation<&Kernels::rope>("rope"),
                         operation<&Kernels::gatedActivation>("gatedActivation"),
                         operation<&Kernels::add>("add"),
                         operation<&Kernels::storeTokens>("storeTokens"),
                         operation<&Kernels::gatherTokens>("gatherTokens"),
                         operation<&Kernels::prefillAttention>("prefillAttention"),
                         operation<&Kernels::decodeAttention>("decodeAttention"),
                         operation<&Kernels::packTokens>("packTokens"),
                         operation<&Kernels::packedAttention>("packedAttention"),
                         operation<&Kernels::scores>("scores"),
                         operation<&Kernels::outerScores>("outerScores"),
                         operation<&Kernels::softmaxRows>("softmaxRows"),
                         operation<&Kernels::columnSums>("columnSums"),
                         operation<&Kernels::diagonalSums>("diagonalSums"),
                         operation<&Kernels::poolMean>("poolMean"),
                         operation<&Kernels::topKRows>("topKRows"),
                         operation<&Kernels::prefixMass>("prefixMass"),
                         operation<&Kernels::accumulateGram>("accumulateGram"),
                         operation<&Kernels::inverseCholesky>("inverseCholesky"),
                         operation<&Kernels::truncatedSvd>("truncatedSvd"),
                         operation<&Kernels::multiplyAdd>("multiplyAdd"),
                         operation<&Kernels::columnNorms>("columnNorms"),
                         operation<&Kernels::firstNonFinite>("firstNonFinite"),
                     });
}

/** One per JavaScript thread: each loads the add-on again, so nothing here is static. */
class Addon : public Napi::Addon<Addon> {
 public:
  Addon(Napi::Env env, Napi::Object exports) {
    DefineAddon(exports, {InstanceMethod("instructionSets", &Addon::instructionSets), InstanceValue("Kernels", Kernels::define(env))});
  }

 private:
  /** Best first. */
  Napi::Value instructionSets(const Napi::CallbackInfo& info) {
    Napi::Array names = Napi::Array::New(info.Env());
    const CpuFeatures cpu = usableFeatures();
    for (Isa isa : {Isa::avx512, Isa::avx2, Isa::generic}) {
      if (supports(cpu, isa)) names[names.Length()] = Napi::String::New(info.Env(), std::string(isaName(isa)));
    }
    return names;
  }
};

Napi::Object initialize(Napi::Env env, Napi::Object exports) { return Addon::Init(env, exports); }

}  // namespace

NODE_API_MODULE(winnow_native, initialize)

}  // namespace winnow::binding
