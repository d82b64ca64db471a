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

}  // namespace adabet
// NOLINTEND(bugprone-implicit-widening-of-multiplication-result)
