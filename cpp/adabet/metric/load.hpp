#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "adabet/host_device.hpp"
#include "adabet/metric/point_cloud.hpp"

/// Typed loading: every scalar type as float or double. Half formats are widened exactly, never computed in.
namespace adabet {

struct Half {
    std::uint16_t bits;
};
struct BrainFloat {
    std::uint16_t bits;
};
struct Boolean {
    std::uint8_t byte;
};

[[nodiscard]] ADABET_HOST_DEVICE constexpr float widen(Half value) {
    // The bits moved into place read as value * 2^-112; inf and NaN (exponent 31) get their exponent by hand.
    const std::uint32_t sign = (value.bits & 0x8000U) << 16;
    const std::uint32_t rest = (value.bits & 0x7fffU) << 13;
    const float scaled = std::bit_cast<float>(rest) * 0x1p+112F;
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(scaled) | (rest >= 0x0f800000U ? 0x7f800000U : 0U);
    return std::bit_cast<float>(bits | sign);
}

[[nodiscard]] ADABET_HOST_DEVICE constexpr float widen(BrainFloat value) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

[[nodiscard]] ADABET_HOST_DEVICE constexpr float widen(Boolean value) { return value.byte != 0 ? 1.0F : 0.0F; }

template <class T>
[[nodiscard]] ADABET_HOST_DEVICE constexpr T widen(T value) {
    return value;
}

/// int32 and wider, and float64, do not fit float's 24 bits: they are loaded as double only.
template <class T, class Stored>
[[nodiscard]] ADABET_HOST_DEVICE constexpr T load_as(Stored value) {
    return static_cast<T>(widen(value));
}

[[nodiscard]] ADABET_HOST_DEVICE constexpr std::size_t size_of(ScalarType scalar) {
    switch (scalar) {
        case ScalarType::float64:
        case ScalarType::int64:
        case ScalarType::uint64:
            return 8;
        case ScalarType::float32:
        case ScalarType::int32:
        case ScalarType::uint32:
            return 4;
        case ScalarType::float16:
        case ScalarType::bfloat16:
        case ScalarType::int16:
        case ScalarType::uint16:
            return 2;
        case ScalarType::int8:
        case ScalarType::uint8:
        case ScalarType::boolean:
            break;
    }
    return 1;
}

/// True where every value of the type is a float.
[[nodiscard]] constexpr bool fits_float(ScalarType scalar) {
    return size_of(scalar) <= 2 || scalar == ScalarType::float32;
}

/// The address of coordinate (row, column).
[[nodiscard]] ADABET_HOST_DEVICE inline const void* address_of(const PointCloud& points, std::size_t row,
                                                               std::size_t column) {
    const std::ptrdiff_t elements = static_cast<std::ptrdiff_t>(row) * points.point_stride +
                                    static_cast<std::ptrdiff_t>(column) * points.coordinate_stride;
    return static_cast<const unsigned char*>(points.data) +
           elements * static_cast<std::ptrdiff_t>(size_of(points.scalar));
}

}  // namespace adabet
