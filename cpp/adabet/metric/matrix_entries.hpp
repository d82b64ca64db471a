#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <type_traits>

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

/// Where row i's entries begin in a condensed matrix of n points.
[[nodiscard]] constexpr std::size_t condensed_start(std::size_t i, std::size_t n) { return i * (2 * n - i - 1) / 2; }

/// Throws InvalidInput at the first diagonal entry that rounding does not explain where the largest distance is `largest`.
template <class Real>
void check_diagonal(const PointCloud& matrix, double largest);

/// Throw InvalidInput: entry (i, j) is no distance; it and (j, i) do not agree; entry k of a condensed matrix, the pair
/// (i, j), is no distance.
template <class Real>
[[noreturn]] void throw_flaw(const PointCloud& matrix, std::size_t i, std::size_t j);
[[noreturn]] void throw_asymmetry(const PointCloud& matrix, std::size_t i, std::size_t j);
template <class Real>
[[noreturn]] void throw_condensed_flaw(const PointCloud& vector, std::size_t k, std::size_t i, std::size_t j);

/// A number and a place in a matrix, as messages show them.
[[nodiscard]] std::string text(double value);
[[nodiscard]] std::string at(std::size_t i, std::size_t j);

/// What two mirrored entries may differ by where only rounding parts them.
template <class Real>
struct SymmetryTolerance {
    double relative;  ///< units in the last place of the larger entry
    double squares;   ///< what a Gram-form distance loses: |a - b| (a + b) = |a^2 - b^2| up to this

    SymmetryTolerance(ScalarType scalar, double largest) {
        const double source = epsilon_of(scalar);
        const double working = epsilon_of(std::is_same_v<Real, float> ? ScalarType::float32 : ScalarType::float64);
        relative = 4 * std::max(source, working);
        squares = 8 * std::min(source, 0x1p-23) * largest * largest;
    }
    [[nodiscard]] bool allows(double a, double b) const {
        if (a == b) return true;
        if (std::isinf(a) || std::isinf(b)) return false;
        const double difference = std::abs(a - b);
        return difference <= relative * std::max(a, b) || difference * (a + b) <= squares;
    }
};

}  // namespace adabet
