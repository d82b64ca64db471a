#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <string>

#include "adabet/metric/point_cloud.hpp"

namespace adabet {

/// One entry of a caller's matrix as a double, whatever its scalar type (64-bit integers are rounded).
[[nodiscard]] double entry(const PointCloud& matrix, std::size_t row, std::size_t column);

/// Casts entries [first, last) of a row to Real, -0.0 made +0.0. False where one of them is no distance: NaN, negative,
/// or finite and beyond Real.
template <class Real>
[[nodiscard]] bool cast_distances(const PointCloud& matrix, std::size_t row, std::size_t first, std::size_t last,
                                  Real* out);

/// Why `value` is no distance of type Real; empty where it is one.
template <class Real>
[[nodiscard]] std::string flaw_of(double value) {
    if (std::isnan(value)) return "is NaN";
    if (value < 0) return "is negative";
    if (std::isfinite(value) && value > static_cast<double>(std::numeric_limits<Real>::max()))
        return "overflows float32";
    return {};
}

/// Half a unit in the last place of 1.0 is what rounding to a scalar type costs; zero for integers.
[[nodiscard]] double epsilon_of(ScalarType scalar);

}  // namespace adabet
