#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "adabet/isa.hpp"
#include "adabet/metric/chain.hpp"
#include "adabet/metric/kernels.hpp"

/// What a row holds, as marks. Included by kernels.cpp alone.
namespace adabet::marks_kernel {

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

/// Whether a packed row holds a tiny entry. A row that is unseen is looked through, once.
ADABET_INLINE bool has_tiny(const float* row, std::size_t columns, std::uint8_t& marks) {
    if ((marks & mark_unseen) != 0) {
        Seen seen;
        for (std::size_t k = 0; k < columns; ++k) look(seen, row[k]);
        marks = marks_of(seen);
    }
    return (marks & mark_tiny) != 0;
}

}  // namespace adabet::marks_kernel
