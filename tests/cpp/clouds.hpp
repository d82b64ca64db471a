#pragma once

// Distance matrices of every kind that has tripped an engine: ties, one-ulp ties, denormals, duplicates, no edges.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "adabet/types.hpp"

namespace clouds {

/// The same numbers on every machine: a 64-bit linear congruential generator, its high bits.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed * 2 + 1) { next(); }

    std::uint64_t next() {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return state_ >> 33;
    }
    std::size_t below(std::size_t bound) { return static_cast<std::size_t>(next()) % bound; }
    double uniform() { return static_cast<double>(next()) / 2147483648.0; }

private:
    std::uint64_t state_;
};

template <class Real>
struct Matrix {
    std::size_t n = 0;
    std::vector<Real> data;

    explicit Matrix(std::size_t size) : n(size), data(size * size, Real{0}) {}

    void set(std::size_t i, std::size_t j, Real value) {
        if (i != j) data[i * n + j] = data[j * n + i] = value;
    }
    [[nodiscard]] adabet::DistanceMatrix<Real> view() const { return {data.data(), n, n}; }
};

inline const std::vector<std::string>& kinds() {
    static const std::vector<std::string> names{"random",    "two_valued", "few_valued", "one_ulp",
                                                "denormal",  "points",     "grid",       "duplicates",
                                                "collinear", "bipartite",  "holes",      "ultrametric"};
    return names;
}

template <class Real>
Matrix<Real> from_points(const std::vector<double>& x, std::size_t n, std::size_t d) {
    Matrix<Real> matrix(n);
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            double sum = 0;
            for (std::size_t k = 0; k < d; ++k) sum += (x[i * d + k] - x[j * d + k]) * (x[i * d + k] - x[j * d + k]);
            matrix.set(i, j, static_cast<Real>(std::sqrt(sum)));
        }
    }
    return matrix;
}

template <class Real>
Matrix<Real> lengths(std::size_t n, Random& random, const std::string& kind) {
    using Bits = std::conditional_t<sizeof(Real) == 4, std::uint32_t, std::uint64_t>;
    Matrix<Real> matrix(n);
    const double missing = random.uniform();
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            Real value = static_cast<Real>(0.001 + random.uniform());
            if (kind == "two_valued") value = static_cast<Real>(1 + random.below(2));
            if (kind == "few_valued") value = static_cast<Real>(random.below(7));
            if (kind == "one_ulp")
                value = std::bit_cast<Real>(static_cast<Bits>(std::bit_cast<Bits>(Real{1}) + random.below(4)));
            if (kind == "denormal") value = std::bit_cast<Real>(static_cast<Bits>(random.below(6)));
            if (kind == "bipartite") value = (i % 2 == j % 2) ? Real{2} : Real{1};
            if (kind == "holes" && random.uniform() < missing) value = std::numeric_limits<Real>::infinity();
            matrix.set(i, j, value);
        }
    }
    return matrix;
}

/// Single-linkage heights: every triangle is isosceles with a short base.
template <class Real>
Matrix<Real> ultrametric(std::size_t n, Random& random) {
    Matrix<Real> matrix(n);
    for (std::size_t i = 1; i < n; ++i) {
        const std::size_t parent = random.below(i);
        const auto height = static_cast<Real>(1 + random.below(5));
        for (std::size_t j = 0; j < i; ++j)
            matrix.set(i, j, j == parent ? height : std::max(height, matrix.data[parent * n + j]));
    }
    return matrix;
}

template <class Real>
Matrix<Real> make(const std::string& kind, std::size_t n, std::uint64_t seed) {
    Random random(seed);
    if (kind == "ultrametric") return ultrametric<Real>(n, random);
    if (kind != "points" && kind != "grid" && kind != "duplicates" && kind != "collinear")
        return lengths<Real>(n, random, kind);
    const std::size_t d = kind == "collinear" ? 1 : 2 + random.below(3);
    std::vector<double> x(n * d);
    for (double& value : x) {
        value = random.uniform();
        if (kind == "grid") value = static_cast<double>(random.below(5));
        if (kind == "collinear") value = static_cast<double>(random.below(2 * n + 1));
    }
    if (kind == "duplicates") {
        const std::size_t distinct = 1 + n / 3;
        for (std::size_t i = distinct; i < n; ++i)
            for (std::size_t k = 0; k < d; ++k) x[i * d + k] = x[(i % distinct) * d + k];
    }
    return from_points<Real>(x, n, d);
}

}  // namespace clouds
