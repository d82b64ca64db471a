#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "adabet/isa.hpp"
#include "adabet/metric/kernels.hpp"
#include "adabet/metric/load.hpp"
#include "adabet/metric/marks_kernel.hpp"

/// Strided rows of any type to consecutive float or double, looking at each value on the way. Included by kernels.cpp alone.
namespace adabet::pack_kernel {

using marks_kernel::Seen;

template <class Stored>
ADABET_INLINE std::uint8_t pack(const void* first, std::ptrdiff_t stride, std::size_t count, float* to) {
    const auto* from = static_cast<const Stored*>(first);
    Seen seen;
    if (stride == 1) {
        for (std::size_t k = 0; k < count; ++k) {
            to[k] = load_as<float>(from[k]);
            marks_kernel::look(seen, to[k]);
        }
    } else {
        for (std::size_t k = 0; k < count; ++k) to[k] = load_as<float>(from[static_cast<std::ptrdiff_t>(k) * stride]);
        for (std::size_t k = 0; k < count; ++k) marks_kernel::look(seen, to[k]);
    }
    return marks_kernel::marks_of(seen);
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
