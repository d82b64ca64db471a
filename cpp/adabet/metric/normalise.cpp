#include "adabet/metric/normalise.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "adabet/metric/chain.hpp"
#include "adabet/metric/float_mode.hpp"
#include "adabet/metric/load.hpp"
#include "adabet/types.hpp"

namespace adabet {

namespace {

using ChunkBuffer = std::array<double, chain::chunk_columns>;

/// Calls take(values, count) for each chunk of a row, in order.
template <class Take>
void for_each_chunk(const PointCloud& points, const Kernels& table, std::size_t row, ChunkBuffer& values, Take&& take) {
    const PackRow<double> pack = table.pack_double[static_cast<std::size_t>(points.scalar)];
    for (std::size_t chunk = 0; chunk < chain::n_chunks(points.d); ++chunk) {
        const std::size_t count = chain::columns_of(chunk, points.d);
        const void* first = address_of(points, row, chunk * chain::chunk_columns);
        const std::uint8_t marks = pack(first, points.coordinate_stride, count, values.data());
        if ((marks & mark_non_finite) != 0) throw_non_finite(points, table);
        take(values.data(), count);
    }
}

/// The sum of f(x) over a chunk by 32 lanes: quick, and in an order that d fixes.
template <class F>
double sum_of(const double* values, std::size_t count, F&& f) {
    std::array<double, chain::lanes> sums{};
    for (std::size_t k = 0; k < count; ++k) sums[k % chain::lanes] += f(values[k]);
    double sum = 0.0;
    for (const double lane : sums) sum += lane;
    return sum;
}

RowNorm find_row_norm(const PointCloud& points, Metric metric, const Kernels& table, std::size_t row,
                      ChunkBuffer& values) {
    double least = infinity<double>;
    double most = -infinity<double>;
    for_each_chunk(points, table, row, values, [&](const double* x, std::size_t count) {
        for (std::size_t k = 0; k < count; ++k) {
            least = std::min(least, x[k]);
            most = std::max(most, x[k]);
        }
    });
    RowNorm norm{.scale_a = 1.0, .scale_b = 1.0, .mean = 0.0, .norm = 0.0};
    const double largest = std::max(std::abs(least), std::abs(most));
    const bool without_direction = metric == Metric::correlation ? !(least < most) : largest == 0.0;
    if (without_direction) return norm;

    const int exponent = -std::ilogb(largest);  // in two factors: 2^1074 is no double
    norm.scale_a = std::ldexp(1.0, exponent / 2);
    norm.scale_b = std::ldexp(1.0, exponent - exponent / 2);
    norm.norm = 1.0;
    if (metric == Metric::correlation) {
        double sum = 0.0;
        for_each_chunk(points, table, row, values, [&](const double* x, std::size_t count) {
            sum += sum_of(x, count, [&](double v) { return norm(v); });
        });
        norm.mean = sum / static_cast<double>(points.d);
    }
    double squares = 0.0;
    for_each_chunk(points, table, row, values, [&](const double* x, std::size_t count) {
        squares += sum_of(x, count, [&](double v) { return norm(v) * norm(v); });
    });
    norm.norm = std::sqrt(squares);
    return norm;
}

std::string spelled(double value) {
    if (std::isnan(value)) return "nan";
    return value > 0 ? "inf" : "-inf";
}

}  // namespace

void find_row_norms(const PointCloud& points, Metric metric, const Kernels& table, const Execution& execution,
                    int n_threads, RowNorm* norms) {
    const Execution part{.budget = execution.budget, .n_threads = n_threads, .checkpoint = execution.checkpoint};
    parallel_for(part, points.n, [&](std::size_t row, int) {
        const PlainFloatMode mode;
        ChunkBuffer values;
        norms[row] = find_row_norm(points, metric, table, row, values);
    });
    for (std::size_t row = 0; row < points.n; ++row) {
        if (norms[row].norm != 0.0) continue;
        // scipy returns nan here, scikit-learn (cosine) takes the zero row as it is: neither is a distance.
        const bool constant = metric == Metric::correlation;
        throw InvalidInput("x: row " + std::to_string(row) + (constant ? " is constant" : " is zero") +
                           ", so it has no " + (constant ? "correlation" : "cosine") +
                           " distance; drop such rows or choose another metric");
    }
}

void refuse_non_finite(const PointCloud& points, const Kernels& table) {
    const PackRow<double> pack = table.pack_double[static_cast<std::size_t>(points.scalar)];
    ChunkBuffer values;
    for (std::size_t row = 0; row < points.n; ++row) {
        for (std::size_t first = 0; first < points.d; first += values.size()) {
            const std::size_t count = std::min(values.size(), points.d - first);
            const std::uint8_t marks =
                pack(address_of(points, row, first), points.coordinate_stride, count, values.data());
            if ((marks & mark_non_finite) == 0) continue;
            for (std::size_t k = 0; k < count; ++k)
                if (!std::isfinite(values[k]))
                    throw InvalidInput("x: expected finite coordinates, got " + spelled(values[k]) + " at row " +
                                       std::to_string(row) + ", column " + std::to_string(first + k));
        }
    }
}

void throw_non_finite(const PointCloud& points, const Kernels& table) {
    refuse_non_finite(points, table);
    throw InvalidInput("x: expected finite coordinates; the points changed during the call");
}

}  // namespace adabet
