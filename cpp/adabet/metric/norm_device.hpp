#pragma once

#include <bit>

#include "adabet/metric/device_pairs.hpp"
#include "adabet/metric/pair_maps.hpp"

namespace adabet {

/// The norms of rows for cosine and correlation, a row by a warp: what find_row_norms does, in its order of summation.
struct NormKernel {
    static constexpr unsigned threads = 256;
    static constexpr unsigned min_blocks = 1;
    static constexpr unsigned shared_bytes = 0;

    PointCloud points;
    Metric metric;
    RowNorm* norms;
    DeviceFindings* findings;

    [[nodiscard]] std::uint64_t blocks() const { return chain::ceil_div(points.n, threads / 32); }

    template <class Thread>
    ADABET_DEVICE void operator()(Thread& t) const {
        const std::size_t row = t.block() * (threads / 32) + t.warp();
        if (row >= points.n) return;
        double least = std::numeric_limits<double>::infinity();
        double most = -least;
        bool finite = true;
        for (std::size_t k = t.lane(); k < points.d; k += 32) {
            const double x = load<double>(points, row, k);
            if (!is_finite(x)) {
                t.lower(&findings->non_finite, row * points.d + k);
                finite = false;
                continue;
            }
            least = x < least ? x : least;
            most = x > most ? x : most;
        }
        for (unsigned distance = 16; distance > 0; distance /= 2) {
            const double other_least = t.from_lane_xor(least, distance);
            const double other_most = t.from_lane_xor(most, distance);
            least = other_least < least ? other_least : least;
            most = other_most > most ? other_most : most;
        }
        RowNorm norm{1.0, 1.0, 0.0, 1.0};
        const double largest = -least > most ? -least : most;
        const bool without_direction = metric == Metric::correlation ? !(least < most) : largest == 0.0;
        if (t.any(!finite) || without_direction) {
            if (t.lane() == 0 && without_direction) t.lower(&findings->without_direction, row);
            if (t.lane() == 0) norms[row] = norm;
            return;
        }
        const int exponent = -exponent_of(largest);  // in two factors: 2^1074 is no double
        norm.scale_a = power_of_two(exponent / 2);
        norm.scale_b = power_of_two(exponent - exponent / 2);
        if (metric == Metric::correlation) norm.mean = row_sum(t, row, norm, false) / static_cast<double>(points.d);
        norm.norm = rounded::square_root(row_sum(t, row, norm, true));
        if (t.lane() == 0) norms[row] = norm;
    }

private:
    /// The exponent of a positive finite number, as std::ilogb gives it.
    [[nodiscard]] ADABET_DEVICE static ADABET_INLINE int exponent_of(double value) {
        const bool denormal = value < 0x1p-1022;
        const auto bits = std::bit_cast<std::uint64_t>(denormal ? value * 0x1p+64 : value);
        return static_cast<int>(bits >> 52U) - 1023 - (denormal ? 64 : 0);
    }
    [[nodiscard]] ADABET_DEVICE static ADABET_INLINE double power_of_two(int exponent) {
        return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52U);
    }

    /// Chunk after chunk, each by 32 lanes that are added in sequence.
    template <class Thread>
    [[nodiscard]] ADABET_DEVICE double row_sum(Thread& t, std::size_t row, const RowNorm& norm, bool squared) const {
        double sum = 0.0;
        for (std::size_t chunk = 0; chunk < chain::n_chunks(points.d); ++chunk) {
            double lane_sum = 0.0;
            const std::size_t steps = pair_maps::steps_of_chunk(chunk, points.d);
            for (std::size_t step = 0; step < steps; ++step) {
                const std::size_t k = chain::column(chunk, step, t.lane());
                if (k >= points.d) continue;
                const double x = norm(load<double>(points, row, k));
                lane_sum = rounded::add(lane_sum, squared ? x * x : x);
            }
            double chunk_sum = 0.0;
            for (unsigned lane = 0; lane < 32; ++lane) chunk_sum = rounded::add(chunk_sum, t.from_lane(lane_sum, lane));
            sum = rounded::add(sum, chunk_sum);
        }
        return sum;
    }
};

}  // namespace adabet
