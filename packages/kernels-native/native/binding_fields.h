#pragma once

#include <napi.h>

#include <cstdint>
#include <string>

#include "attention/attention.h"
#include "cache/cache.h"
#include "masks/masks.h"

/** Part of binding.cc: reads the named fields of a call's argument. Every bad one throws a TypeError that says which and why. */
namespace winnow::binding {

constexpr double kMostCount = 2147483647;
constexpr double kMostOffset = 9007199254740991;

/** A HeadTensor whose last element was checked to lie inside its array. */
struct Heads {
  Dtype dtype;
  void* data;
  size_t heads, length, headDim, headStride, tokenStride;

  template <class T>
  HeadView<T> view() const {
    return {static_cast<T*>(data), heads, length, headDim, headStride, tokenStride};
  }
  CacheView cache() const { return {dtype, data, heads, length, headDim, headStride, tokenStride}; }
  CacheTarget target() const { return {dtype, data, heads, length, headDim, headStride, tokenStride}; }
};

/** Float32Array, or Uint16Array of bf16 bits. */
struct FloatArray {
  Dtype dtype;
  void* data;
  size_t size;
};

class Fields {
 public:
  explicit Fields(const Napi::Value& value, std::string path = "") : path_(std::move(path)), env_(value.Env()) {
    if (!value.IsObject()) fail((path_.empty() ? "argument" : path_) + " must be an object");
    object_ = value.As<Napi::Object>();
  }

  [[noreturn]] void fail(const std::string& message) const { throw Napi::TypeError::New(env_, message); }
  void require(bool holds, const char* field, const char* expected) const {
    if (!holds) fail(nameOf(field) + " must " + expected);
  }
  void requireNone(const Problem& problem) const {
    if (problem) fail(path_.empty() ? *problem : path_ + "." + *problem);
  }

  Napi::Value get(const char* field) const { return object_.Get(field); }
  bool has(const char* field) const { return !get(field).IsUndefined(); }
  Fields object(const char* field) const { return Fields(get(field), nameOf(field)); }

  double number(const char* field) const {
    const Napi::Value value = get(field);
    require(value.IsNumber(), field, "be a number");
    return value.As<Napi::Number>().DoubleValue();
  }
  int64_t integer(const char* field, double low = 0, double high = kMostCount) const {
    const double value = number(field);
    require(value >= low && value <= high && value == static_cast<double>(static_cast<int64_t>(value)), field, "be an integer in its range");
    return static_cast<int64_t>(value);
  }
  size_t count(const char* field, double low = 0) const { return static_cast<size_t>(integer(field, low)); }
  std::string text(const char* field) const {
    const Napi::Value value = get(field);
    require(value.IsString(), field, "be a string");
    return value.As<Napi::String>().Utf8Value();
  }

  /** Array of at least `least` elements. */
  Span<int32_t> indices(const char* field, double least = 0) const { return typed<int32_t>(field, napi_int32_array, least); }
  Span<uint8_t> bytes(const char* field) const { return typed<uint8_t>(field, napi_uint8_array, 0); }
  Span<int8_t> signedBytes(const char* field, double least) const { return typed<int8_t>(field, napi_int8_array, least); }
  Span<uint16_t> halves(const char* field, double least) const { return typed<uint16_t>(field, napi_uint16_array, least); }
  Span<uint32_t> words(const char* field, double least) const { return typed<uint32_t>(field, napi_uint32_array, least); }
  float* floats(const char* field, double least = 0) const { return const_cast<float*>(floatSpan(field, least).data); }
  float* floatsOrNull(const char* field, double least) const { return has(field) ? floats(field, least) : nullptr; }
  Span<float> floatSpan(const char* field, double least = 0) const { return typed<float>(field, napi_float32_array, least); }
  int32_t* indicesOut(const char* field, double least) const { return const_cast<int32_t*>(indices(field, least).data); }

  FloatArray floatArray(const char* field, double least = 0) const {
    const Info info = typedArray(field);
    require(info.type == napi_float32_array || info.type == napi_uint16_array, field, "be a Float32Array or a Uint16Array");
    require(static_cast<double>(info.length) >= least, field, "hold more elements");
    return {info.type == napi_uint16_array ? Dtype::bf16 : Dtype::f32, info.data, info.length};
  }

  Dtype dtype(const char* field) const {
    const std::string name = text(field);
    require(name == "f32" || name == "bf16", field, "be \"f32\" or \"bf16\"");
    return name == "bf16" ? Dtype::bf16 : Dtype::f32;
  }

  Heads heads(const char* field) const { return object(field).asHeads(); }
  Heads floatHeads(const char* field) const {
    const Heads x = heads(field);
    require(x.dtype == Dtype::f32, field, "be float32");
    return x;
  }

 private:
  struct Info {
    napi_typedarray_type type;
    size_t length;
    void* data;
  };

  std::string nameOf(const char* field) const { return path_.empty() ? field : path_ + "." + field; }

  /** The C call, because it also takes arrays on shared memory, which node-addon-api's ArrayBuffer does not. */
  Info typedArray(const char* field) const {
    const Napi::Value value = get(field);
    require(value.IsTypedArray(), field, "be a typed array");
    Info info{};
    const napi_status status = napi_get_typedarray_info(env_, value, &info.type, &info.length, &info.data, nullptr, nullptr);
    require(status == napi_ok, field, "be a readable typed array");
    return info;
  }

  template <class T>
  Span<T> typed(const char* field, napi_typedarray_type type, double least) const {
    const Info info = typedArray(field);
    require(info.type == type, field, "be a typed array of the right type");
    require(static_cast<double>(info.length) >= least, field, "hold more elements");
    return {static_cast<const T*>(info.data), info.length};
  }

  /** In float64: products of hostile sizes overflow integers, but only lose digits there. */
  Heads asHeads() const {
    const FloatArray array = floatArray("data");
    const double offset = static_cast<double>(integer("offset", 0, kMostOffset));
    Heads x{array.dtype, nullptr, count("heads", 1), count("length"), count("headDim", 1), 0, 0};
    const double headStride = static_cast<double>(integer("headStride", 0, kMostOffset));
    const double tokenStride = static_cast<double>(integer("tokenStride", 0, kMostOffset));
    const double end = offset + static_cast<double>(x.heads - 1) * headStride +
                       (static_cast<double>(x.length) - 1) * tokenStride + static_cast<double>(x.headDim);
    require(x.length == 0 || end <= static_cast<double>(array.size), "data", "hold every element of the view");
    x.headStride = static_cast<size_t>(headStride);
    x.tokenStride = static_cast<size_t>(tokenStride);
    x.data = static_cast<char*>(array.data) + (x.length == 0 ? 0 : static_cast<size_t>(offset) * bytesOf(array.dtype));
    return x;
  }

  std::string path_;
  Napi::Env env_;
  Napi::Object object_;
};

}  // namespace winnow::binding
