#pragma once

// What the metric tests share: clouds from a small integer generator (the same on every machine), calls in one line, and
// the order of chain.hpp replayed one operation at a time.

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "adabet/host_device.hpp"
#include "adabet/metric/chain.hpp"
#include "adabet/metric/pairwise_on.hpp"

namespace metric_test {

using namespace adabet;

class Lcg {
public:
    explicit Lcg(std::uint64_t seed) : state_(seed) {}
    std::uint32_t next() {
        state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
        return static_cast<std::uint32_t>(state_ >> 33U);
    }
    /// Multiples of 2^-20 in [-1, 1): exact in fp32.
    float coordinate() {
        return static_cast<float>(static_cast<std::int32_t>(next() % (1U << 21U)) - (1 << 20)) * 0x1p-20F;
    }
    /// About normal, with all 24 bits in use.
    float gaussian() {
        double sum = 0.0;
        for (int k = 0; k < 4; ++k) sum += static_cast<double>(next()) * 0x1p-31 - 0.5;
        return static_cast<float>(sum * 1.7320508);
    }

private:
    std::uint64_t state_;
};

template <class T, class Make>
std::vector<T> cloud_of(std::size_t count, Make&& make) {
    std::vector<T> values(count);
    for (T& value : values) value = make();
    return values;
}

template <class T>
constexpr ScalarType scalar_of() {
    if constexpr (std::is_same_v<T, float>) return ScalarType::float32;
    if constexpr (std::is_same_v<T, double>) return ScalarType::float64;
    if constexpr (std::is_same_v<T, std::int8_t>) return ScalarType::int8;
    if constexpr (std::is_same_v<T, std::int16_t>) return ScalarType::int16;
    if constexpr (std::is_same_v<T, std::int32_t>) return ScalarType::int32;
    if constexpr (std::is_same_v<T, std::int64_t>) return ScalarType::int64;
    if constexpr (std::is_same_v<T, std::uint8_t>) return ScalarType::uint8;
    if constexpr (std::is_same_v<T, std::uint16_t>) return ScalarType::uint16;
    if constexpr (std::is_same_v<T, std::uint32_t>) return ScalarType::uint32;
    if constexpr (std::is_same_v<T, std::uint64_t>) return ScalarType::uint64;
    if constexpr (std::is_same_v<T, bool>) return ScalarType::boolean;
}

template <class T>
PointCloud view(const std::vector<T>& values, std::size_t n, std::size_t d) {
    return {.data = values.data(),
            .scalar = scalar_of<T>(),
            .n = n,
            .d = d,
            .point_stride = static_cast<std::ptrdiff_t>(d),
            .coordinate_stride = 1};
}

template <class Real>
std::vector<Real> distances(const PointCloud& points, Metric metric = Metric::euclidean, Isa isa = active_isa(),
                            int n_threads = 1) {
    MemoryBudget budget;
    std::vector<Real> out(points.n * points.n, Real{-1});
    pairwise_distances_on(isa, points, metric, out.data(), points.n,
                          Execution{.budget = budget, .n_threads = n_threads});
    return out;
}

template <class Real>
bool same_bits(const std::vector<Real>& a, const std::vector<Real>& b) {
    using Bits = std::conditional_t<sizeof(Real) == 4, std::uint32_t, std::uint64_t>;
    if (a.size() != b.size()) return false;
    for (std::size_t k = 0; k < a.size(); ++k)
        if (std::bit_cast<Bits>(a[k]) != std::bit_cast<Bits>(b[k])) return false;
    return true;
}

/// One chunk in T, folded.
template <class T>
double replayed_chunk(const float* a, const float* b, std::size_t d, std::size_t chunk) {
    T lanes[chain::lanes];
    for (std::size_t lane = 0; lane < chain::lanes; ++lane) {
        T sum{0};
        for (std::size_t step = 0; step < chain::steps; ++step) {
            const std::size_t k = chain::column(chunk, step, lane);
            if (k >= d) break;
            sum = rounded::add_square(sum, rounded::subtract(static_cast<T>(a[k]), static_cast<T>(b[k])));
        }
        lanes[lane] = sum;
    }
    for (std::size_t half : {16U, 8U})
        for (std::size_t lane = 0; lane < half; ++lane) lanes[lane] = lanes[lane] + lanes[lane + half];
    double sums[8];
    for (std::size_t lane = 0; lane < 8; ++lane) sums[lane] = static_cast<double>(lanes[lane]);
    for (std::size_t half : {4U, 2U, 1U})
        for (std::size_t lane = 0; lane < half; ++lane) sums[lane] = sums[lane] + sums[lane + half];
    return sums[0];
}

/// The euclidean distance of two fp32 rows, by the letter of chain.hpp.
inline float replayed_distance(const float* a, const float* b, std::size_t d) {
    double total = 0.0;
    if (chain::is_narrow(d)) {
        for (std::size_t k = 0; k < d; ++k)
            total = rounded::add_square(total, rounded::subtract(static_cast<double>(a[k]), static_cast<double>(b[k])));
        return static_cast<float>(std::sqrt(total));
    }
    double group = 0.0;
    for (std::size_t chunk = 0; chunk < chain::n_chunks(d); ++chunk) {
        const double sum = replayed_chunk<float>(a, b, d, chunk);
        group += chain::is_kept(sum) ? sum : replayed_chunk<double>(a, b, d, chunk);
        if ((chunk + 1) % chain::chunks_per_group == 0 || chunk + 1 == chain::n_chunks(d)) {
            total += group;
            group = 0.0;
        }
    }
    return static_cast<float>(std::sqrt(total));
}

}  // namespace metric_test
