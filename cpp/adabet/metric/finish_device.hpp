#pragma once

#include "adabet/metric/device_pairs.hpp"
#include "adabet/metric/pair_maps.hpp"

// Offsets within a block's own tile are 32-bit on purpose: registers are short.
// NOLINTBEGIN(bugprone-implicit-widening-of-multiplication-result)
namespace adabet {

/// Partial sums of tiles to distances: chunks in sequence make a group, groups in sequence the distance (chain.hpp).
struct FinishKernel {
    static constexpr unsigned threads = 256;
    static constexpr unsigned min_blocks = 1;
    static constexpr unsigned warps = threads / 32;
    static constexpr unsigned round = 64;  ///< groups whose sums are kept at a time
    static constexpr unsigned shared_bytes = round * 32 * sizeof(double);

    const double* partials;  ///< [unit][tile][row][column]
    std::size_t n_units;
    std::size_t group_units;  ///< units of a group: eight chunks, or one
    pair_maps::TileGrid grid;
    std::uint64_t first_tile;
    std::uint64_t n_tiles;
    unsigned edge;
    std::size_t first_a;
    std::size_t first_b;
    PairSink sink;

    [[nodiscard]] std::uint64_t blocks() const { return n_tiles * edge * edge / 32; }

    template <class Thread>
    ADABET_DEVICE void operator()(Thread& t) const {
        auto* const group_sums = static_cast<double*>(t.shared());
        const std::uint64_t slots = n_tiles * edge * edge;
        const std::uint64_t slot = t.block() * 32 + t.lane();
        const std::size_t n_groups = chain::ceil_div(n_units, group_units);
        double total = 0.0;
        bool bad = false;
        for (std::size_t first = 0; first < n_groups; first += round) {
            const std::size_t count = n_groups - first < round ? n_groups - first : round;
            for (std::size_t g = t.warp(); g < count; g += warps)
                group_sums[g * 32 + t.lane()] = group_sum(first + g, slots, slot);
            t.sync_block();
            for (std::size_t g = 0; t.warp() == 0 && g < count; ++g) {
                const double sum = group_sums[g * 32 + t.lane()];
                bad |= sum < 0.0;
                total = join(total, sum);
            }
            t.sync_block();
        }
        if (t.warp() != 0) return;
        const pair_maps::Place tile = grid.place(first_tile + slot / (edge * edge));
        const std::uint64_t in_tile = slot % (edge * edge);
        sink.put_sum(t, first_a + tile.row * edge + in_tile / edge, first_b + tile.column * edge + in_tile % edge,
                     bad ? sum_to_rescue : total);
    }

private:
    [[nodiscard]] ADABET_DEVICE ADABET_INLINE double join(double a, double b) const {
        return sink.metric == Metric::chebyshev ? LargestAbsolute::join(a, b) : SumOfSquares::join(a, b);
    }
    [[nodiscard]] ADABET_DEVICE ADABET_INLINE double group_sum(std::size_t group, std::uint64_t slots,
                                                               std::uint64_t slot) const {
        double sum = 0.0;
        bool bad = false;
        for (std::size_t unit = group * group_units; unit < (group + 1) * group_units && unit < n_units; ++unit) {
            const double part = partials[unit * slots + slot];
            bad |= part < 0.0;
            sum = join(sum, part);
        }
        return bad ? sum_to_rescue : sum;
    }
};

/// The pairs that another kernel marked, each by a warp: a chunk that fp32 could not hold is redone in fp64, and what is
/// beyond fp64 is scaled. Slow and rarely needed.
struct RescueKernel {
    static constexpr unsigned threads = 256;
    static constexpr unsigned min_blocks = 1;
    static constexpr unsigned shared_bytes = 0;

    PointCloud points;
    bool in_float;
    PairSink sink;
    std::uint64_t n_blocks;

    [[nodiscard]] std::uint64_t blocks() const { return n_blocks; }

    template <class Thread>
    ADABET_DEVICE void operator()(Thread& t) const {
        if (sink.findings->rescues == 0) return;
        const std::uint64_t entries = static_cast<std::uint64_t>(sink.n) * sink.n;
        const std::uint64_t stride = n_blocks * threads;
        for (std::uint64_t first = (t.block() * threads) + t.warp() * 32; first < entries; first += stride) {
            const std::uint64_t entry = first + t.lane();
            const bool upper = entry < entries && entry / sink.n < entry % sink.n;
            const double marked = upper ? sink.read(entry / sink.n, entry % sink.n) : 0.0;
            for (std::uint32_t waiting = t.ballot(marked < 0.0); waiting != 0; waiting &= waiting - 1) {
                const unsigned lane = t.lowest_bit(waiting);
                const double mark = t.from_lane(marked, lane);
                const std::uint64_t i = (first + lane) / sink.n;
                const std::uint64_t j = (first + lane) % sink.n;
                const double distance = in_float ? careful(t, i, j) : scaled(t, i, j, mark == sum_to_rescue_large);
                if (t.lane() == 0) sink.put(t, i, j, distance);
            }
        }
    }

private:
    /// One chunk, the warp's lanes being those of chain.hpp.
    template <class T, class Thread>
    ADABET_DEVICE ADABET_INLINE double chunk_sum(Thread& t, std::size_t i, std::size_t j, std::size_t chunk) const {
        T sum{0};
        const std::size_t steps = pair_maps::steps_of_chunk(chunk, points.d);
        for (std::size_t step = 0; step < steps; ++step) {
            const std::size_t k = chain::column(chunk, step, t.lane());
            if (k < points.d)
                sum = SumOfSquares::take(sum, rounded::subtract(load<T>(points, i, k), load<T>(points, j, k)));
        }
        sum = SumOfSquares::join(sum, t.from_lane_xor(sum, 16));
        auto promoted = static_cast<double>(SumOfSquares::join(sum, t.from_lane_xor(sum, 8)));
        for (unsigned distance = 4; distance > 0; distance /= 2)
            promoted = SumOfSquares::join(promoted, t.from_lane_xor(promoted, distance));
        return promoted;
    }
    template <class Thread>
    ADABET_DEVICE double careful(Thread& t, std::size_t i, std::size_t j) const {
        const std::size_t chunks = chain::n_chunks(points.d);
        double total = 0.0;
        double group = 0.0;
        for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
            double sum = chunk_sum<float>(t, i, j, chunk);
            if (!chain::is_kept(sum)) sum = chunk_sum<double>(t, i, j, chunk);
            group = SumOfSquares::join(group, sum);
            if ((chunk + 1) % chain::chunks_per_group != 0 && chunk + 1 != chunks) continue;
            total = SumOfSquares::join(total, group);
            group = 0.0;
        }
        return sink.metric == Metric::euclidean ? Euclidean::epilog(total) : total;
    }
    template <class Thread>
    ADABET_DEVICE double scaled(Thread& t, std::size_t i, std::size_t j, bool large) const {
        const double before = large ? 0x1p-600 : 1.0;
        const double after = large ? 1.0 : 0x1p+600;
        double sum = 0.0;
        for (std::size_t chunk = 0; chunk < chain::n_chunks(points.d); ++chunk) {
            double lane_sum = 0.0;
            const std::size_t steps = pair_maps::steps_of_chunk(chunk, points.d);
            for (std::size_t step = 0; step < steps; ++step) {
                const std::size_t k = chain::column(chunk, step, t.lane());
                if (k >= points.d) continue;
                const double difference =
                    rounded::subtract(load<double>(points, i, k) * before, load<double>(points, j, k) * before) * after;
                lane_sum = rounded::add_square(lane_sum, difference);
            }
            for (unsigned lane = 0; lane < 32; ++lane) sum = rounded::add(sum, t.from_lane(lane_sum, lane));
        }
        return rounded::square_root(sum) * (large ? 0x1p+600 : 0x1p-600);
    }
};

}  // namespace adabet
// NOLINTEND(bugprone-implicit-widening-of-multiplication-result)
