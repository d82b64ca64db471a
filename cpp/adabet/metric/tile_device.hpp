#pragma once

#include "adabet/metric/device_pairs.hpp"
#include "adabet/metric/leaf_tree.hpp"
#include "adabet/metric/pair_maps.hpp"

// Offsets within a block's own tile are 32-bit on purpose: registers are short.
// NOLINTBEGIN(bugprone-implicit-widening-of-multiplication-result)
namespace adabet {

/// What a launch of tiles is about: packed rows, which tiles, and where their sums go.
struct TileArgs {
    const void* packed_a;  ///< of the tile's rows, and ...
    const void* packed_b;  ///< ... of its columns; the same where all rows are in one band
    std::size_t ld_a;
    std::size_t ld_b;
    const std::uint8_t* tiny_a;  ///< see PackKernel
    const std::uint8_t* tiny_b;
    std::size_t first_a;  ///< the rows that the bands begin with
    std::size_t first_b;
    std::size_t d;
    Metric metric;
    bool in_float;
    pair_maps::TileGrid grid;
    std::uint64_t first_tile;  ///< tiles [first_tile, first_tile + n_tiles) of the grid
    std::uint64_t n_tiles;
    std::size_t unit_chunks;  ///< chunks that a block adds up: one, or a group
    std::size_t n_units;
    double* partials;  ///< [unit][tile][row][column]; null: the only unit's sums go to the sink
    PairSink sink;

    [[nodiscard]] std::uint64_t blocks() const { return n_tiles * n_units; }
};

/// A tile of pairs, a unit of columns: classic register tiles over shared memory. A pair needs eleven registers' worth of
/// sums (see LeafTree), so 64 x 64 pairs are what a multiprocessor holds; larger tiles would not fit.
template <class T, class Core, bool narrow>
struct TileKernel {
    static constexpr unsigned threads = 256;
    static constexpr unsigned min_blocks = 1;
    static constexpr unsigned pairs = sizeof(T) == sizeof(float) ? 4 : 2;  ///< a thread's pairs: as many squared
    static constexpr unsigned edge = 16 * pairs;
    static constexpr unsigned stage_columns = 32;
    static constexpr unsigned stages = 2;
    static constexpr unsigned stage_elements = stage_columns * 2 * edge;
    static constexpr unsigned stage_bytes = stages * stage_elements * sizeof(T);
    /// Two stages, and a sum for each pair, which would not fit in registers: the most that all processors have.
    static constexpr unsigned shared_bytes = stage_bytes + edge * edge * sizeof(double);

    TileArgs args;

    /// Where pair p of a thread lies in the tile.
    [[nodiscard]] ADABET_HOST_DEVICE static constexpr pair_maps::Place pair_of(unsigned thread, unsigned p) {
        const unsigned warp = thread / 32;
        const unsigned lane = thread % 32;
        return {pairs * (warp / 2 * 4 + lane / 8) + p / pairs, pairs * (warp % 2 * 8 + lane % 8) + p % pairs};
    }

    template <class Thread>
    ADABET_DEVICE void operator()(Thread& t) const {
        const std::uint64_t local = t.block() % args.n_tiles;
        const std::uint64_t unit = t.block() / args.n_tiles;
        const pair_maps::Place tile = args.grid.place(args.first_tile + local);
        const auto first_i = static_cast<unsigned>(pair_of(t.thread(), 0).row);
        const auto first_j = static_cast<unsigned>(pair_of(t.thread(), 0).column);
        const std::size_t first_chunk = narrow ? 0 : unit * args.unit_chunks;
        const std::size_t last_chunk = lesser(first_chunk + args.unit_chunks, chain::n_chunks(args.d));
        const std::size_t begin = narrow ? 0 : pair_maps::packed_start(first_chunk, args.d);
        const std::size_t end = narrow ? args.d : pair_maps::packed_start(last_chunk, args.d);

        LeafTree<Core, T, pairs> tree;
        // This thread's sums, pair p at p * threads.
        double* const sums =
            reinterpret_cast<double*>(static_cast<unsigned char*>(t.shared()) + stage_bytes) + t.thread();
        for (unsigned p = 0; p < pairs * pairs; ++p) sums[p * threads] = 0.0;
        unsigned bad = 0;  // pairs whose sum cannot be used
        unsigned leaf = 0;
        std::size_t chunk = first_chunk;

        std::size_t asked = begin;
        for (unsigned s = 0; s < stages; ++s) asked = ask(t, tile, asked, end, s);
        if constexpr (narrow) tree.start_leaf();
        unsigned stage = 0;
        for (std::size_t at = begin; at < end;) {
            t.template wait_async<stages - 1>();
            t.sync_block();
            const T* const staged = static_cast<const T*>(t.shared()) + stage * stage_elements;
            const auto columns = static_cast<unsigned>(columns_at(at, end));
            const unsigned steps = narrow ? columns : static_cast<unsigned>(pair_maps::steps_of_chunk(chunk, args.d));
            for (unsigned first = 0; first < columns; first += steps) {
                if constexpr (!narrow) tree.start_leaf();
                for (unsigned k = first; k < first + steps; ++k) {
                    const auto a = *reinterpret_cast<const Operand*>(staged + k * 2 * edge + first_i);
                    const auto b = *reinterpret_cast<const Operand*>(staged + k * 2 * edge + edge + first_j);
                    tree.step(a.values, b.values);
                }
                if constexpr (!narrow) {
                    tree.end_leaf(leaf, [&](unsigned i, unsigned j, double sum) {
                        if (!is_sound(tile, first_i + i, first_j + j, chunk, sum)) bad |= 1U << (i * pairs + j);
                        double& total = sums[(i * pairs + j) * threads];
                        total = Core::join(total, sum);
                    });
                    leaf = (leaf + 1) % chain::lanes;
                    if (leaf == 0) ++chunk;
                }
            }
            at += columns;
            t.sync_block();
            asked = ask(t, tile, asked, end, stage);
            stage = (stage + 1) % stages;
        }
        if constexpr (narrow) {
            ADABET_UNROLL
            for (unsigned p = 0; p < pairs * pairs; ++p)
                sums[p * threads] = static_cast<double>(tree.leaf(p / pairs, p % pairs));
        }
        put(t, tile, local, unit, first_i, first_j, sums, bad);
    }

private:
    struct alignas(16) Operand {
        T values[pairs];
    };

    ADABET_DEVICE static ADABET_INLINE std::size_t lesser(std::size_t a, std::size_t b) { return a < b ? a : b; }

    /// Packed coordinates of the stage that begins at `at`: whole leaves.
    ADABET_DEVICE ADABET_INLINE std::size_t columns_at(std::size_t at, std::size_t end) const {
        if (narrow) return lesser(stage_columns, end - at);
        const std::size_t chunk = at / chain::chunk_columns;
        if (chunk < args.d / chain::chunk_columns) return chain::steps;
        const std::size_t steps = pair_maps::steps_of_chunk(chunk, args.d);
        return pair_maps::leaves_of_stage(steps) * steps;
    }

    /// Asks for the stage that begins at `at`; returns where the next one begins. Every call closes one batch of copies.
    template <class Thread>
    ADABET_DEVICE ADABET_INLINE std::size_t ask(Thread& t, const pair_maps::Place& tile, std::size_t at,
                                                std::size_t end, unsigned stage) const {
        constexpr unsigned piece_elements = 16 / sizeof(T);
        constexpr unsigned row_pieces = edge / piece_elements;
        if (at < end) {
            const std::size_t columns = columns_at(at, end);
            T* const to = static_cast<T*>(t.shared()) + stage * stage_elements;
            const T* const from_a = static_cast<const T*>(args.packed_a) + at * args.ld_a + tile.row * edge;
            const T* const from_b = static_cast<const T*>(args.packed_b) + at * args.ld_b + tile.column * edge;
            for (unsigned piece = t.thread(); piece < columns * 2 * row_pieces; piece += threads) {
                const unsigned k = piece / (2 * row_pieces);
                const bool of_b = piece / row_pieces % 2 != 0;
                const unsigned element = piece % row_pieces * piece_elements;
                const T* const from = of_b ? from_b + k * args.ld_b : from_a + k * args.ld_a;
                t.template copy_async<16>(to + piece * piece_elements, from + element);
            }
            at += columns;
        }
        t.commit_async();
        return at;
    }

    /// Whether fp32 could hold that chunk of a pair.
    ADABET_DEVICE ADABET_INLINE bool is_sound(const pair_maps::Place& tile, unsigned i, unsigned j, std::size_t chunk,
                                              double sum) const {
        if (sizeof(T) == sizeof(double) || chain::is_kept(sum)) return true;
        return sum == 0.0 && (args.tiny_a[chunk * args.ld_a + tile.row * edge + i] |
                              args.tiny_b[chunk * args.ld_b + tile.column * edge + j]) == 0;
    }

    template <class Thread>
    ADABET_DEVICE ADABET_INLINE void put(Thread& t, const pair_maps::Place& tile, std::uint64_t local,
                                         std::uint64_t unit, unsigned first_i, unsigned first_j, const double* sums,
                                         unsigned bad) const {
        double* const partial =
            args.partials == nullptr ? nullptr : args.partials + (unit * args.n_tiles + local) * edge * edge;
        for (unsigned p = 0; p < pairs * pairs; ++p) {
            const unsigned i = first_i + p / pairs;
            const unsigned j = first_j + p % pairs;
            const double sum = (bad >> p & 1U) != 0 ? sum_to_rescue : sums[p * threads];
            if (partial != nullptr) {
                partial[i * edge + j] = sum;
            } else {
                args.sink.put_sum(t, args.first_a + tile.row * edge + i, args.first_b + tile.column * edge + j, sum);
            }
        }
    }
};

/// Calls run with the kernel for these arguments.
template <class Run>
void with_tile_kernel(const TileArgs& args, Run&& run) {
    const bool narrow = chain::is_narrow(args.d);
    if (args.in_float) return run(TileKernel<float, SumOfSquares, false>{args});
    if (args.metric == Metric::cityblock)
        return narrow ? run(TileKernel<double, SumOfAbsolutes, true>{args})
                      : run(TileKernel<double, SumOfAbsolutes, false>{args});
    if (args.metric == Metric::chebyshev)
        return narrow ? run(TileKernel<double, LargestAbsolute, true>{args})
                      : run(TileKernel<double, LargestAbsolute, false>{args});
    return narrow ? run(TileKernel<double, SumOfSquares, true>{args})
                  : run(TileKernel<double, SumOfSquares, false>{args});
}

}  // namespace adabet
// NOLINTEND(bugprone-implicit-widening-of-multiplication-result)
