#include "adabet/metric/matrix_entries.hpp"

#include <cstdint>

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
        bool good = true;
        for (std::size_t j = first; j < last; ++j) {
            const auto value = load_as<double>(from[static_cast<std::ptrdiff_t>(j) * matrix.coordinate_stride]);
            const bool fits = value <= largest;
            good = good && value >= 0 && (fits || value == infinite);
            // Adding +0.0 turns -0.0 into +0.0; a value beyond Real would be undefined to cast.
            out[j - first] = fits ? static_cast<Real>(value) + Real(0) : std::numeric_limits<Real>::infinity();
        }
        return good;
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

template bool cast_distances(const PointCloud&, std::size_t, std::size_t, std::size_t, float*);
template bool cast_distances(const PointCloud&, std::size_t, std::size_t, std::size_t, double*);

}  // namespace adabet
