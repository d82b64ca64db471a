#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "adabet/isa.hpp"
#include "adabet/metric/chain.hpp"
#include "adabet/metric/kernels.hpp"
#include "adabet/metric/load.hpp"

/// Strided rows of any type to consecutive float or double, looking at each value on the way. Included by kernels.cpp alone.
namespace adabet::pack_kernel {

/// Extremes of the magnitudes' bits, which order as the magnitudes do.
struct Seen {
    std::int32_t largest = 0;
    std::int32_t smallest_less_one = std::numeric_limits<std::int32_t>::max();  ///< zero wraps to the largest: no entry
};

ADABET_INLINE void look(Seen& seen, float value) {
    const std::uint32_t magnitude = std::bit_cast<std::uint32_t>(value) & 0x7fffffffU;
    seen.largest = std::max(seen.largest, static_cast<std::int32_t>(magnitude));
    const auto less_one = static_cast<std::int32_t>((magnitude - 1U) & 0x7fffffffU);
    seen.smallest_less_one = std::min(seen.smallest_less_one, less_one);
}

ADABET_INLINE std::uint8_t marks_of(const Seen& seen) {
    constexpr auto tiny = std::bit_cast<std::int32_t>(chain::smallest_plain);
    constexpr auto huge = std::bit_cast<std::int32_t>(chain::smallest_huge);
    unsigned marks = mark_none;
    if (seen.smallest_less_one < tiny - 1) marks |= mark_tiny;
    if (seen.largest >= huge) marks |= mark_huge;
    if (seen.largest >= 0x7f800000) marks |= mark_non_finite;
    return static_cast<std::uint8_t>(marks);
}

template <class Stored>
ADABET_INLINE std::uint8_t pack(const void* first, std::ptrdiff_t stride, std::size_t count, float* to) {
    const auto* from = static_cast<const Stored*>(first);
    Seen seen;
    if (stride == 1) {
        for (std::size_t k = 0; k < count; ++k) {
            to[k] = load_as<float>(from[k]);
            look(seen, to[k]);
        }
    } else {
        for (std::size_t k = 0; k < count; ++k) to[k] = load_as<float>(from[static_cast<std::ptrdiff_t>(k) * stride]);
        for (std::size_t k = 0; k < count; ++k) look(seen, to[k]);
    }
    return marks_of(seen);
}

template <class Stored>
ADABET_INLINE std::uint8_t pack(const void* first, std::ptrdiff_t stride, std::size_t count, double* to) {
    const auto* from = static_cast<const Stored*>(first);
    if (stride == 1) {
        for (std::size_t k = 0; k < count; ++k) to[k] = load_as<double>(from[k]);
    } else {
        for (std::size_t k = 0; k < count; ++k) to[k] = load_as<double>(from[static_cast<std::ptrdiff_t>(k) * stride]);
    }
    std::uint64_t non_finite = 0;
    for (std::size_t k = 0; k < count; ++k)
        non_finite |= std::abs(to[k]) <= std::numeric_limits<double>::max() ? 0U : 1U;
    return non_finite != 0 ? mark_non_finite : mark_none;
}

}  // namespace adabet::pack_kernel
