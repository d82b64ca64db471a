#include "adabet/metric/epilog.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "adabet/metric/chain.hpp"
#include "adabet/metric/load.hpp"
#include "adabet/metric/metrics.hpp"
#include "adabet/metric/normalise.hpp"

namespace adabet {

namespace {

bool is_sound(double sum) { return sum >= smallest_sound_sum && sum <= std::numeric_limits<double>::max(); }

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
double scaled_distance(const PackSource& source, std::size_t i, std::size_t j, bool large) {
    const PointCloud& points = source.points;
    const std::size_t a = source.order(i);
    const std::size_t b = source.order(j);
    const PackRow<double> pack = source.table.pack_double[static_cast<std::size_t>(points.scalar)];
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

/// A part of a block, kept in the first-level cache between its two writings. A row is a cache line longer than a power of
/// two: reading it down the columns would otherwise meet the same few cache sets.
constexpr std::size_t tile_rows = 32;
constexpr std::size_t tile_columns = 64;
template <class Real>
using Tile = std::array<std::array<Real, tile_columns + 64 / sizeof(Real)>, tile_rows>;

}  // namespace

template <class Real>
void distances_of_row(const PackSource& source, Metric metric, std::size_t i, std::size_t first, const double* sums,
                      std::size_t count, Real* to) {
    to_distances(metric, sums, count, to);
    if constexpr (sizeof(Real) == sizeof(double)) {
        if (metric == Metric::euclidean)
            for (std::size_t j = 0; j < count; ++j)
                if (!is_sound(sums[j]) && first + j != i) to[j] = scaled_distance(source, i, first + j, sums[j] > 1.0);
    }
    unsigned overflow = 0;
    for (std::size_t j = 0; j < count; ++j) overflow |= to[j] <= std::numeric_limits<Real>::max() ? 0U : 1U;
    if (overflow == 0) return;
    if (source.order.as_they_stand())  // rows that were copied as they stand have not been looked through
        refuse_non_finite(source.points, source.table);
    for (std::size_t j = 0; j < count; ++j)
        if (!(to[j] <= std::numeric_limits<Real>::max()))
            throw_overflow<Real>(source.order(i), source.order(first + j));
}

template <class Real>
Real distance_of_pair(const PackSource& source, Metric metric, std::size_t i, std::size_t j, double sum) {
    Real distance{};
    distances_of_row(source, metric, i, j, &sum, 1, &distance);
    return distance;
}

template <class Real>
void write_block(const PackSource& source, Metric metric, const double* sums, std::size_t ld_sums,
                 const PairBlock& block, const DistanceOutput<Real>& out) {
    const bool diagonal = block.first_a == block.first_b;
    if (out.form == MatrixForm::condensed) {
        for (std::size_t i = 0; i < block.n_a; ++i) {
            const std::size_t row = block.first_a + i;
            const std::size_t j = diagonal ? i + 1 : 0;
            if (j < block.n_b)
                distances_of_row(source, metric, row, block.first_b + j, sums + i * ld_sums + j, block.n_b - j,
                                 out.at(row, block.first_b + j));
        }
        return;
    }
    Tile<Real> tile;
    if (diagonal)
        for (std::size_t i = 0; i < block.n_a; ++i) *out.at(block.first_a + i, block.first_a + i) = Real{0};
    for (std::size_t i0 = 0; i0 < block.n_a; i0 += tile_rows) {
        const std::size_t end_i = std::min(i0 + tile_rows, block.n_a);
        for (std::size_t j0 = diagonal ? i0 : 0; j0 < block.n_b; j0 += tile_columns) {
            const std::size_t end_j = std::min(j0 + tile_columns, block.n_b);
            for (std::size_t i = i0; i < end_i; ++i) {
                const std::size_t begin_j = diagonal ? std::max(j0, i + 1) : j0;
                if (begin_j >= end_j) continue;
                const std::size_t row = block.first_a + i;
                Real* to = tile[i - i0].data() + (begin_j - j0);
                distances_of_row(source, metric, row, block.first_b + begin_j, sums + i * ld_sums + begin_j,
                                 end_j - begin_j, to);
                std::copy_n(to, end_j - begin_j, out.at(row, block.first_b + begin_j));
            }
            for (std::size_t j = j0; j < end_j; ++j) {
                Real* mirrored = out.at(block.first_b + j, block.first_a);
                const std::size_t last_i = diagonal ? std::min(end_i, j) : end_i;
                for (std::size_t i = i0; i < last_i; ++i) mirrored[i] = tile[i - i0][j - j0];
            }
        }
    }
}

template void write_block(const PackSource&, Metric, const double*, std::size_t, const PairBlock&,
                          const DistanceOutput<float>&);
template void write_block(const PackSource&, Metric, const double*, std::size_t, const PairBlock&,
                          const DistanceOutput<double>&);
template void distances_of_row(const PackSource&, Metric, std::size_t, std::size_t, const double*, std::size_t, float*);
template void distances_of_row(const PackSource&, Metric, std::size_t, std::size_t, const double*, std::size_t,
                               double*);
template float distance_of_pair(const PackSource&, Metric, std::size_t, std::size_t, double);
template double distance_of_pair(const PackSource&, Metric, std::size_t, std::size_t, double);

}  // namespace adabet
