#pragma once

#include <bit>
#include <compare>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "adabet/host_device.hpp"
#include "adabet/isa.hpp"
#include "adabet/types.hpp"

namespace adabet {

/// Lengths are never negative, NaN or -0.0, so their bits order as integers do: integer minima vectorise without
/// fast-math, and flushed denormals cannot make two lengths compare wrongly.
template <class Real>
using LengthKey = std::conditional_t<std::is_same_v<Real, float>, std::int32_t, std::int64_t>;

template <class Real>
[[nodiscard]] ADABET_HOST_DEVICE ADABET_INLINE LengthKey<Real> length_key(Real length) {
    return std::bit_cast<LengthKey<Real>>(length);
}

template <class Real>
[[nodiscard]] ADABET_HOST_DEVICE ADABET_INLINE Real length_of(LengthKey<Real> key) {
    return std::bit_cast<Real>(key);
}

/// The largest key of an edge: +inf means "no edge".
template <class Real>
inline constexpr LengthKey<Real> longest_finite_key = std::bit_cast<LengthKey<Real>>(std::numeric_limits<Real>::max());

/// An edge with its place in the filtration: by length, then by larger end, then by smaller end.
template <class Real>
struct RankedEdge {
    LengthKey<Real> key;
    Vertex b;  ///< larger end
    Vertex a;  ///< smaller end

    friend auto operator<=>(const RankedEdge&, const RankedEdge&) = default;
    friend bool operator==(const RankedEdge&, const RankedEdge&) = default;

    [[nodiscard]] Edge edge() const { return {a, b}; }
    [[nodiscard]] Real length() const { return length_of<Real>(key); }
};

template <class Real>
[[nodiscard]] inline RankedEdge<Real> ranked_edge(const DistanceMatrix<Real>& distances, Vertex x, Vertex y) {
    const Vertex a = x < y ? x : y;
    const Vertex b = x < y ? y : x;
    return {length_key(distances(static_cast<std::size_t>(a), static_cast<std::size_t>(b))), b, a};
}

}  // namespace adabet
