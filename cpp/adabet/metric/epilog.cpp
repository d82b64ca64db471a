#include "adabet/metric/epilog.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "adabet/metric/chain.hpp"
#include "adabet/metric/load.hpp"
#include "adabet/metric/metrics.hpp"

namespace adabet {

namespace {

/// In fp64 squares lose digits below 2^-1022: a sum from here on has lost none that count.
constexpr double smallest_sound_sum = 0x1p-900;

template <class M, class Real>
void to_distances(const double* sums, std::size_t count, Real* out) {
    for (std::size_t k = 0; k < count; ++k) out[k] = static_cast<Real>(M::epilog(sums[k]));
}

template <class Real>
void to_distances(Metric metric, const double* sums, std::size_t count, Real* out) {
    switch (metric) {
        case Metric::euclidean:
            return to_distances<Euclidean>(sums, count, out);
        case Metric::sqeuclidean:
            return to_distances<SquaredEuclidean>(sums, count, out);
        case Metric::cityblock:
            return to_distances<Cityblock>(sums, count, out);
        case Metric::chebyshev:
            return to_distances<Chebyshev>(sums, count, out);
        case Metric::cosine:
        case Metric::correlation:
            return to_distances<Cosine>(sums, count, out);
    }
}

/// The euclidean distance of two rows whose squares leave fp64's range: everything times 2^-600 or 2^600.
double scaled_distance(const PointCloud& points, const Kernels& table, std::size_t a, std::size_t b, bool large) {
    const PackRow<double> pack = table.pack_double[static_cast<std::size_t>(points.scalar)];
    const double before = large ? 0x1p-600 : 1.0;
    const double after = large ? 1.0 : 0x1p+600;
    std::array<double, chain::chunk_columns> row_a;
    std::array<double, chain::chunk_columns> row_b;
    double sum = 0.0;
    for (std::size_t chunk = 0; chunk < chain::n_chunks(points.d); ++chunk) {
        const std::size_t first = chunk * chain::chunk_columns;
        const std::size_t count = chain::columns_of(chunk, points.d);
        static_cast<void>(pack(address_of(points, a, first), points.coordinate_stride, count, row_a.data()));
        static_cast<void>(pack(address_of(points, b, first), points.coordinate_stride, count, row_b.data()));
        std::array<double, chain::lanes> sums{};
        for (std::size_t k = 0; k < count; ++k) {
            const double difference = (row_a[k] * before - row_b[k] * before) * after;
            sums[k % chain::lanes] += difference * difference;
        }
        for (const double lane : sums) sum += lane;
    }
    return std::sqrt(sum) * (large ? 0x1p+600 : 0x1p-600);
}

template <class Real>
[[noreturn]] void throw_overflow(std::size_t row, std::size_t column) {
    const bool is_float = sizeof(Real) == sizeof(float);
    throw InvalidInput("x: the distance between rows " + std::to_string(row) + " and " + std::to_string(column) +
                       " overflows " +
                       (is_float ? "float32 (largest value 3.4e38); rescale the points or use dtype=\"float64\""
                                 : "float64 (largest value 1.8e308); rescale the points"));
}

}  // namespace

template <class Real>
void write_block(const PointCloud& points, Metric metric, const Kernels& table, const double* sums, std::size_t ld_sums,
                 const BlockOutput<Real>& block) {
    const bool diagonal = block.first_a == block.first_b;
    for (std::size_t i = 0; i < block.n_a; ++i) {
        const std::size_t row = block.first_a + i;
        const double* from = sums + i * ld_sums;
        Real* to = block.out + row * block.stride + block.first_b;
        const std::size_t first_j = diagonal ? i + 1 : 0;
        if (diagonal) to[i] = Real{0};
        if (first_j >= block.n_b) continue;
        to_distances(metric, from + first_j, block.n_b - first_j, to + first_j);
        if constexpr (sizeof(Real) == sizeof(double)) {
            if (metric == Metric::euclidean)
                for (std::size_t j = first_j; j < block.n_b; ++j)
                    if (!(from[j] >= smallest_sound_sum && from[j] <= std::numeric_limits<double>::max()))
                        to[j] = scaled_distance(points, table, row, block.first_b + j, from[j] > 1.0);
        }
        bool overflow = false;
        for (std::size_t j = first_j; j < block.n_b; ++j) overflow |= !(to[j] <= std::numeric_limits<Real>::max());
        if (overflow)
            for (std::size_t j = first_j; j < block.n_b; ++j)
                if (!(to[j] <= std::numeric_limits<Real>::max())) throw_overflow<Real>(row, block.first_b + j);
    }
    // The mirror image, in squares that fit the first-level cache.
    constexpr std::size_t square = 32;
    for (std::size_t i0 = 0; i0 < block.n_a; i0 += square)
        for (std::size_t j0 = diagonal ? i0 : 0; j0 < block.n_b; j0 += square)
            for (std::size_t j = j0; j < std::min(j0 + square, block.n_b); ++j) {
                const std::size_t end_i = std::min({i0 + square, block.n_a, diagonal ? j : block.n_a});
                Real* to = block.out + (block.first_b + j) * block.stride + block.first_a;
                const Real* from = block.out + block.first_a * block.stride + block.first_b + j;
                for (std::size_t i = i0; i < end_i; ++i) to[i] = from[i * block.stride];
            }
}

template void write_block<float>(const PointCloud&, Metric, const Kernels&, const double*, std::size_t,
                                 const BlockOutput<float>&);
template void write_block<double>(const PointCloud&, Metric, const Kernels&, const double*, std::size_t,
                                  const BlockOutput<double>&);

}  // namespace adabet
