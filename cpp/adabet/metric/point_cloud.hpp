#pragma once

#include <cstddef>
#include <cstdint>

namespace adabet {

enum class ScalarType : std::uint8_t {
    float16,
    bfloat16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
    boolean,
};

/// n points with d coordinates each, in the caller's memory. Strides are in elements and may be negative or zero.
struct PointCloud {
    const void* data = nullptr;
    ScalarType scalar = ScalarType::float32;
    std::size_t n = 0;
    std::size_t d = 0;
    std::ptrdiff_t point_stride = 0;
    std::ptrdiff_t coordinate_stride = 1;

    friend bool operator==(const PointCloud&, const PointCloud&) = default;
};

}  // namespace adabet
