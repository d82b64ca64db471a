#pragma once

#include <type_traits>

#include "adabet/host_device.hpp"
#include "adabet/isa.hpp"

/// A metric is a core, which takes one coordinate's difference into an accumulator, and an epilog, which turns the whole
/// sum into the distance. Cosine and correlation are half the squared euclidean distance of normalised rows: exact where
/// 1 - x.y cancels, never negative, and zero for equal rows.
namespace adabet {

struct SumOfSquares {
    template <class T>
    [[nodiscard]] ADABET_HOST_DEVICE static ADABET_INLINE T take(T sum, T difference) {
        return rounded::add_square(sum, difference);
    }
    template <class T>
    [[nodiscard]] ADABET_HOST_DEVICE static ADABET_INLINE T join(T a, T b) {
        return rounded::add(a, b);
    }
};

struct SumOfAbsolutes {
    template <class T>
    [[nodiscard]] ADABET_HOST_DEVICE static ADABET_INLINE T take(T sum, T difference) {
        return rounded::add(sum, difference < T{0} ? -difference : difference);
    }
    template <class T>
    [[nodiscard]] ADABET_HOST_DEVICE static ADABET_INLINE T join(T a, T b) {
        return rounded::add(a, b);
    }
};

struct LargestAbsolute {
    template <class T>
    [[nodiscard]] ADABET_HOST_DEVICE static ADABET_INLINE T take(T largest, T difference) {
        const T size = difference < T{0} ? -difference : difference;
        return size > largest ? size : largest;
    }
    template <class T>
    [[nodiscard]] ADABET_HOST_DEVICE static ADABET_INLINE T join(T a, T b) {
        return a > b ? a : b;
    }
};

struct Euclidean {
    using Core = SumOfSquares;
    [[nodiscard]] ADABET_HOST_DEVICE static ADABET_INLINE double epilog(double sum) {
        return rounded::square_root(sum);
    }
};

struct SquaredEuclidean {
    using Core = SumOfSquares;
    [[nodiscard]] ADABET_HOST_DEVICE static ADABET_INLINE double epilog(double sum) { return sum; }
};

struct Cityblock {
    using Core = SumOfAbsolutes;
    [[nodiscard]] ADABET_HOST_DEVICE static ADABET_INLINE double epilog(double sum) { return sum; }
};

struct Chebyshev {
    using Core = LargestAbsolute;
    [[nodiscard]] ADABET_HOST_DEVICE static ADABET_INLINE double epilog(double largest) { return largest; }
};

/// Of rows divided by their norm.
struct Cosine {
    using Core = SumOfSquares;
    [[nodiscard]] ADABET_HOST_DEVICE static ADABET_INLINE double epilog(double sum) { return sum * 0.5; }
};

/// Of rows less their mean, divided by their norm.
using Correlation = Cosine;

/// In fp64 squares lose digits below 2^-1022: a sum from here on has lost none that count.
inline constexpr double smallest_sound_sum = 0x1p-900;

/// Whether a small sum of squares must be looked at again. In float such a distance is zero anyway.
template <class M, class Real>
[[nodiscard]] constexpr bool must_look_below() {
    return std::is_same_v<M, Euclidean> && sizeof(Real) == sizeof(double);
}

}  // namespace adabet
