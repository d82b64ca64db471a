#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

namespace adabet {

/// A vertex of the filtration: the row of its point.
using Vertex = std::int32_t;

/// An edge {a, b} with a < b.
struct Edge {
    Vertex a = -1;
    Vertex b = -1;

    friend bool operator==(const Edge&, const Edge&) = default;
};

/// One bar: born at `birth`, gone at `death` (infinite where it is essential).
template <class Real>
struct Interval {
    Real birth;
    Real death;

    friend bool operator==(const Interval&, const Interval&) = default;
};

template <class Real>
inline constexpr Real infinity = std::numeric_limits<Real>::infinity();

/// A symmetric n x n matrix in row-major order, both triangles filled, zero diagonal; +inf means "no edge".
/// The owner promises: no NaN, no negative entry, no -0.0, exactly symmetric.
template <class Real>
struct DistanceMatrix {
    const Real* data = nullptr;
    std::size_t n = 0;
    std::size_t stride = 0;  ///< elements from one row to the next, >= n

    [[nodiscard]] const Real* row(std::size_t i) const { return data + i * stride; }
    [[nodiscard]] Real operator()(std::size_t i, std::size_t j) const { return data[i * stride + j]; }
};

}  // namespace adabet
