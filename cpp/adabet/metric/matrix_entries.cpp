#include "adabet/metric/matrix_entries.hpp"

#include <cstdint>
#include <sstream>

#include "adabet/errors.hpp"
#include "adabet/metric/load.hpp"

namespace adabet {

namespace {

/// Calls body(T{}) for the C++ type of a scalar.
template <class Body>
auto with_scalar(ScalarType scalar, Body&& body) {
    switch (scalar) {
        case ScalarType::float16:
            return body(Half{});
        case ScalarType::bfloat16:
            return body(BrainFloat{});
        case ScalarType::float64:
            return body(double{});
        case ScalarType::int8:
            return body(std::int8_t{});
        case ScalarType::int16:
            return body(std::int16_t{});
        case ScalarType::int32:
            return body(std::int32_t{});
        case ScalarType::int64:
            return body(std::int64_t{});
        case ScalarType::uint8:
            return body(std::uint8_t{});
        case ScalarType::boolean:
            return body(Boolean{});
        case ScalarType::uint16:
            return body(std::uint16_t{});
        case ScalarType::uint32:
            return body(std::uint32_t{});
        case ScalarType::uint64:
            return body(std::uint64_t{});
        case ScalarType::float32:
            break;
    }
    return body(float{});
}

template <class T>
const T* row_of(const PointCloud& matrix, std::size_t row) {
    return static_cast<const T*>(matrix.data) + static_cast<std::ptrdiff_t>(row) * matrix.point_stride;
}

}  // namespace

double entry(const PointCloud& matrix, std::size_t row, std::size_t column) {
    return with_scalar(matrix.scalar, [&](auto kind) {
        using T = decltype(kind);
        return load_as<double>(row_of<T>(matrix, row)[static_cast<std::ptrdiff_t>(column) * matrix.coordinate_stride]);
    });
}

template <class Real>
bool cast_distances(const PointCloud& matrix, std::size_t row, std::size_t first, std::size_t last, Real* out) {
    if (first >= last) return true;
    return with_scalar(matrix.scalar, [&](auto kind) {
        using T = decltype(kind);
        constexpr auto largest = static_cast<double>(std::numeric_limits<Real>::max());
        constexpr double infinite = std::numeric_limits<double>::infinity();
        const T* const from = row_of<T>(matrix, row);
        unsigned bad = 0;
        const auto cast = [&](std::ptrdiff_t stride) {
            for (std::size_t j = first; j < last; ++j) {
                const auto value = load_as<double>(from[static_cast<std::ptrdiff_t>(j) * stride]);
                const bool fits = value <= largest;
                bad |= static_cast<unsigned>(!(value >= 0)) | static_cast<unsigned>(!fits && value != infinite);
                // Adding +0.0 turns -0.0 into +0.0; a value beyond Real would be undefined to cast.
                out[j - first] = fits ? static_cast<Real>(value) + Real(0) : std::numeric_limits<Real>::infinity();
            }
        };
        if (matrix.coordinate_stride == 1) {
            cast(1);
        } else {
            cast(matrix.coordinate_stride);
        }
        return bad == 0;
    });
}

double epsilon_of(ScalarType scalar) {
    switch (scalar) {
        case ScalarType::float16:
            return 0x1p-10;
        case ScalarType::bfloat16:
            return 0x1p-7;
        case ScalarType::float32:
            return 0x1p-23;
        case ScalarType::float64:
            return 0x1p-52;
        default:
            return 0;
    }
}

template <class Real>
void check_diagonal(const PointCloud& matrix, double largest) {
    const double working = epsilon_of(std::is_same_v<Real, float> ? ScalarType::float32 : ScalarType::float64);
    const double allowed = 8 * std::max(working, epsilon_of(matrix.scalar)) * largest;
    for (std::size_t i = 0; i < matrix.n; ++i) {
        const double own = entry(matrix, i, i);
        if (std::abs(own) > allowed) {
            throw InvalidInput("the distance matrix's diagonal entry " + at(i, i) + " is " + text(own) +
                               ", expected 0; where rounding made it, set the diagonal to zero first");
        }
    }
}

template <class Real>
void throw_flaw(const PointCloud& matrix, std::size_t i, std::size_t j) {
    const double value = entry(matrix, i, j);
    throw InvalidInput("the distance matrix's entry " + at(i, j) + " " + flaw_of<Real>(value) + ": got " + text(value) +
                       ", expected a distance >= 0 (inf where there is no edge)");
}

void throw_asymmetry(const PointCloud& matrix, std::size_t i, std::size_t j) {
    throw InvalidInput("the distance matrix is not symmetric: entry " + at(i, j) + " is " + text(entry(matrix, i, j)) +
                       ", but " + at(j, i) + " is " + text(entry(matrix, j, i)));
}

template <class Real>
void throw_condensed_flaw(const PointCloud& vector, std::size_t k, std::size_t i, std::size_t j) {
    const double value = entry(vector, 0, k);
    throw InvalidInput("the condensed distance matrix's entry " + std::to_string(k) + ", the pair " + at(i, j) + ", " +
                       flaw_of<Real>(value) + ": got " + text(value) + ", expected a distance >= 0");
}

std::string text(double value) {
    std::ostringstream out;
    out.precision(17);
    out << value;
    return out.str();
}

std::string at(std::size_t i, std::size_t j) {
    std::ostringstream out;
    out << '(' << i << ", " << j << ')';
    return out.str();
}

template bool cast_distances(const PointCloud&, std::size_t, std::size_t, std::size_t, float*);
template bool cast_distances(const PointCloud&, std::size_t, std::size_t, std::size_t, double*);

template void check_diagonal<float>(const PointCloud&, double);
template void throw_flaw<float>(const PointCloud&, std::size_t, std::size_t);
template void throw_condensed_flaw<float>(const PointCloud&, std::size_t, std::size_t, std::size_t);
template void check_diagonal<double>(const PointCloud&, double);
template void throw_flaw<double>(const PointCloud&, std::size_t, std::size_t);
template void throw_condensed_flaw<double>(const PointCloud&, std::size_t, std::size_t, std::size_t);

}  // namespace adabet
