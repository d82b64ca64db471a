#pragma once

#include "adabet/metric/device_pairs.hpp"
#include "adabet/metric/pair_maps.hpp"
#include "adabet/types.hpp"

namespace adabet {

/// The sum of one pair by a warp, from the points themselves, in the order of chain.hpp: the warp's lanes are its lanes.
struct PairSums {
    PointCloud points;
    const RowNorm* norms;  ///< one a row of the cloud, or null
    const Vertex* order;   ///< the row of each point, or null: as they stand
    Metric metric;

    [[nodiscard]] ADABET_DEVICE ADABET_INLINE std::size_t row(std::size_t point) const {
        return order == nullptr ? point : static_cast<std::size_t>(order[point]);
    }

    /// By one thread: all coordinates in sequence.
    [[nodiscard]] ADABET_DEVICE double narrow(std::size_t i, std::size_t j) const {
        if (metric == Metric::cityblock) return narrow_sum<SumOfAbsolutes>(i, j);
        if (metric == Metric::chebyshev) return narrow_sum<LargestAbsolute>(i, j);
        return narrow_sum<SumOfSquares>(i, j);
    }
    /// In fp64.
    template <class Thread>
    [[nodiscard]] ADABET_DEVICE double wide(Thread& t, std::size_t i, std::size_t j) const {
        if (metric == Metric::cityblock) return wide_sum<SumOfAbsolutes>(t, i, j);
        if (metric == Metric::chebyshev) return wide_sum<LargestAbsolute>(t, i, j);
        return wide_sum<SumOfSquares>(t, i, j);
    }
    /// In fp32, but for a chunk that it could not hold, which is redone in fp64.
    template <class Thread>
    [[nodiscard]] ADABET_DEVICE double careful(Thread& t, std::size_t i, std::size_t j) const {
        return grouped<SumOfSquares>([&](std::size_t chunk) {
            const double sum = chunk_sum<SumOfSquares, float>(t, i, j, chunk);
            return chain::is_kept(sum) ? sum : chunk_sum<SumOfSquares, double>(t, i, j, chunk);
        });
    }
    /// The euclidean distance itself, where its square is beyond fp64.
    template <class Thread>
    [[nodiscard]] ADABET_DEVICE double scaled(Thread& t, std::size_t i, std::size_t j, bool large) const {
        const double before = large ? 0x1p-600 : 1.0;
        const double after = large ? 1.0 : 0x1p+600;
        const std::size_t row_i = row(i);
        const std::size_t row_j = row(j);
        double sum = 0.0;
        for (std::size_t chunk = 0; chunk < chain::n_chunks(points.d); ++chunk) {
            double lane_sum = 0.0;
            const std::size_t steps = pair_maps::steps_of_chunk(chunk, points.d);
            for (std::size_t step = 0; step < steps; ++step) {
                const std::size_t k = chain::column(chunk, step, t.lane());
                if (k >= points.d) continue;
                const double difference = rounded::subtract(load<double>(points, row_i, k) * before,
                                                            load<double>(points, row_j, k) * before) *
                                          after;
                lane_sum = rounded::add_square(lane_sum, difference);
            }
            for (unsigned lane = 0; lane < 32; ++lane) sum = rounded::add(sum, t.from_lane(lane_sum, lane));
        }
        return rounded::square_root(sum) * (large ? 0x1p+600 : 0x1p-600);
    }

private:
    template <class T>
    [[nodiscard]] ADABET_DEVICE ADABET_INLINE T coordinate(std::size_t in_row, std::size_t k) const {
        const T value = load<T>(points, in_row, k);
        if constexpr (sizeof(T) == sizeof(double)) {
            if (norms != nullptr) return norms[in_row](value);
        }
        return value;
    }
    template <class Core>
    [[nodiscard]] ADABET_DEVICE ADABET_INLINE double narrow_sum(std::size_t i, std::size_t j) const {
        const std::size_t row_i = row(i);
        const std::size_t row_j = row(j);
        double sum = 0.0;
        for (std::size_t k = 0; k < points.d; ++k)
            sum = Core::take(sum, rounded::subtract(coordinate<double>(row_i, k), coordinate<double>(row_j, k)));
        return sum;
    }
    template <class Core, class Thread>
    [[nodiscard]] ADABET_DEVICE ADABET_INLINE double wide_sum(Thread& t, std::size_t i, std::size_t j) const {
        return grouped<Core>([&](std::size_t chunk) { return chunk_sum<Core, double>(t, i, j, chunk); });
    }
    /// Chunks in sequence make a group, groups in sequence the sum.
    template <class Core, class ChunkSum>
    [[nodiscard]] ADABET_DEVICE ADABET_INLINE double grouped(ChunkSum&& sum_of) const {
        const std::size_t chunks = chain::n_chunks(points.d);
        double total = 0.0;
        double group = 0.0;
        for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
            group = Core::join(group, sum_of(chunk));
            if ((chunk + 1) % chain::chunks_per_group != 0 && chunk + 1 != chunks) continue;
            total = Core::join(total, group);
            group = 0.0;
        }
        return total;
    }
    template <class Core, class T, class Thread>
    [[nodiscard]] ADABET_DEVICE ADABET_INLINE double chunk_sum(Thread& t, std::size_t i, std::size_t j,
                                                               std::size_t chunk) const {
        const std::size_t row_i = row(i);
        const std::size_t row_j = row(j);
        T sum{0};
        const std::size_t steps = pair_maps::steps_of_chunk(chunk, points.d);
        for (std::size_t step = 0; step < steps; ++step) {
            const std::size_t k = chain::column(chunk, step, t.lane());
            if (k < points.d)
                sum = Core::take(sum, rounded::subtract(coordinate<T>(row_i, k), coordinate<T>(row_j, k)));
        }
        sum = Core::join(sum, t.from_lane_xor(sum, 16));
        auto promoted = static_cast<double>(Core::join(sum, t.from_lane_xor(sum, 8)));
        for (unsigned distance = 4; distance > 0; distance /= 2)
            promoted = Core::join(promoted, t.from_lane_xor(promoted, distance));
        return promoted;
    }
};

/// The pairs that another kernel marked, each by a warp: a chunk that fp32 could not hold is redone in fp64, and what is
/// beyond fp64 is scaled. Slow and rarely needed.
struct RescueKernel {
    static constexpr unsigned threads = 256;
    static constexpr unsigned min_blocks = 1;
    static constexpr unsigned shared_bytes = 0;

    PairSums sums;
    bool in_float;
    PairSink sink;
    std::uint64_t n_blocks;

    [[nodiscard]] std::uint64_t blocks() const { return n_blocks; }

    template <class Thread>
    ADABET_DEVICE void operator()(Thread& t) const {
        if (sink.findings->rescues == 0) return;
        const std::uint64_t entries = sink.entries();
        const std::uint64_t stride = n_blocks * threads;
        for (std::uint64_t first = (t.block() * threads) + t.warp() * 32; first < entries; first += stride) {
            const std::uint64_t entry = first + t.lane();
            const pair_maps::Place pair = sink.pair_of(entry < entries ? entry : 0);
            const bool asked = entry < entries && (sink.is_whole() ? pair.row < pair.column : pair.row != pair.column);
            const double marked = asked ? sink.read(pair.row, pair.column) : 0.0;
            for (std::uint32_t waiting = t.ballot(marked < 0.0); waiting != 0; waiting &= waiting - 1) {
                const unsigned lane = t.lowest_bit(waiting);
                const double mark = t.from_lane(marked, lane);
                const pair_maps::Place at = sink.pair_of(first + lane);
                const double distance = in_float ? sink.epilog(sums.careful(t, at.row, at.column))
                                                 : sums.scaled(t, at.row, at.column, mark == sum_to_rescue_large);
                if (t.lane() == 0) sink.put(t, at.row, at.column, distance);
            }
        }
    }
};

/// The distances of single pairs that are asked for together: many coordinates by a warp each, few by a thread each.
struct PairListKernel {
    static constexpr unsigned threads = 256;
    static constexpr unsigned min_blocks = 1;
    static constexpr unsigned shared_bytes = 0;

    PairSums sums;
    bool in_float;
    PairSink sink;  ///< of its `out`, entry k is the distance of pair k
    const Edge* pairs;
    std::uint64_t count;
    std::uint64_t n_blocks;

    [[nodiscard]] std::uint64_t blocks() const { return n_blocks; }

    template <class Thread>
    ADABET_DEVICE void operator()(Thread& t) const {
        const std::uint64_t stride = n_blocks * threads;
        for (std::uint64_t first = (t.block() * threads) + t.warp() * 32; first < count; first += stride) {
            const bool is_narrow = chain::is_narrow(sums.points.d);
            const std::uint64_t mine = first + t.lane();
            double sum = 0.0;
            if (is_narrow) {
                if (mine < count) sum = sums.narrow(row(mine), column(mine));
            } else {
                const auto of_warp = static_cast<unsigned>(count - first < 32 ? count - first : 32);
                for (unsigned k = 0; k < of_warp; ++k) {
                    const double one = in_float ? sums.careful(t, row(first + k), column(first + k))
                                                : sums.wide(t, row(first + k), column(first + k));
                    if (t.lane() == k) sum = one;
                }
            }
            const double marked = mine < count && row(mine) != column(mine) ? sink.marked(sum) : 0.0;
            double distance = marked == 0.0 ? 0.0 : sink.epilog(marked);
            for (std::uint32_t waiting = t.ballot(marked < 0.0); waiting != 0; waiting &= waiting - 1) {
                const unsigned lane = t.lowest_bit(waiting);
                const double mark = t.from_lane(marked, lane);
                const double one = sums.scaled(t, row(first + lane), column(first + lane), mark == sum_to_rescue_large);
                if (t.lane() == lane) distance = one;
            }
            if (mine >= count) continue;
            sink.note_overflow(t, row(mine), column(mine), distance);
            if (sink.in_double)
                static_cast<double*>(sink.out)[mine] = distance;
            else
                static_cast<float*>(sink.out)[mine] = static_cast<float>(distance);
        }
    }

private:
    [[nodiscard]] ADABET_DEVICE ADABET_INLINE std::size_t row(std::uint64_t k) const {
        return static_cast<std::size_t>(pairs[k].a);
    }
    [[nodiscard]] ADABET_DEVICE ADABET_INLINE std::size_t column(std::uint64_t k) const {
        return static_cast<std::size_t>(pairs[k].b);
    }
};

}  // namespace adabet
