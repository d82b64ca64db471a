#pragma once

#include "adabet/metric/device_pairs.hpp"
#include "adabet/metric/pair_maps.hpp"

// Offsets within a block's own tile are 32-bit on purpose: registers are short.
// NOLINTBEGIN(bugprone-implicit-widening-of-multiplication-result)
namespace adabet {

struct FewRowsArgs {
    PointCloud points;      ///< n <= 64, d > 64, in fp32 or less, rows without gaps, addresses multiples of 4
    unsigned chunk_blocks;  ///< blocks that share the chunks out, for each share of the tiles
    double* partials;       ///< [chunk][tile][row][column] of 8 x 8 tiles
    DeviceFindings* findings;
};

/// Few rows, read where they lie: a block owns chunks of columns of all rows, so that each coordinate is read once. A warp
/// takes the 8 x 8 pairs of a tile, its lanes being those of chain.hpp.
template <class Stored>
struct FewRowsKernel {
    static constexpr unsigned threads = 512;
    static constexpr unsigned min_blocks = 1;
    static constexpr unsigned most_rows = 64;
    static constexpr unsigned edge = 8;
    static constexpr unsigned warps = threads / 32;
    static constexpr unsigned stages = 2;
    static constexpr unsigned stage_elements = 8192 - most_rows;  // with the marks beside it, 64 KiB in all
    static constexpr unsigned shared_bytes = stages * stage_elements * sizeof(Stored) + most_rows * 4;

    FewRowsArgs args;

    [[nodiscard]] ADABET_HOST_DEVICE static constexpr unsigned n_tiles(std::size_t n) {
        return static_cast<unsigned>(pair_maps::triangle((n + edge - 1) / edge));
    }
    [[nodiscard]] ADABET_HOST_DEVICE static constexpr unsigned shares(std::size_t n) {
        return (n_tiles(n) + warps - 1) / warps;
    }
    [[nodiscard]] ADABET_HOST_DEVICE static constexpr unsigned rows_of(std::size_t n) {
        return static_cast<unsigned>((n + edge - 1) / edge * edge);
    }
    /// Columns of a stage: as many as fit with all rows, whole steps.
    [[nodiscard]] ADABET_HOST_DEVICE static constexpr unsigned stage_columns(std::size_t n) {
        unsigned columns = chain::chunk_columns;
        while (columns * rows_of(n) > stage_elements) columns /= 2;
        return columns;
    }
    /// Whether the kernel reads such points.
    [[nodiscard]] static bool takes(const PointCloud& points) {
        const auto row_bytes = points.point_stride * static_cast<std::ptrdiff_t>(sizeof(Stored));
        return points.n <= most_rows && points.coordinate_stride == 1 && row_bytes % 4 == 0 &&
               reinterpret_cast<std::uintptr_t>(points.data) % 4 == 0;
    }
    [[nodiscard]] std::uint64_t blocks() const { return std::uint64_t{args.chunk_blocks} * shares(args.points.n); }

    template <class Thread>
    ADABET_DEVICE void operator()(Thread& t) const {
        const auto row_bytes = args.points.point_stride * static_cast<std::ptrdiff_t>(sizeof(Stored));
        if (row_bytes % 16 == 0 && reinterpret_cast<std::uintptr_t>(args.points.data) % 16 == 0)
            run<16>(t);
        else
            run<4>(t);
    }

private:
    struct Stage {
        unsigned chunk;
        unsigned stage;
    };

    template <unsigned piece_bytes, class Thread>
    ADABET_DEVICE ADABET_INLINE void run(Thread& t) const {
        auto* const staged = static_cast<Stored*>(t.shared());
        // The last chunk (+ 1) of a row that has a tiny entry.
        auto* const tiny = reinterpret_cast<std::uint32_t*>(staged + stages * stage_elements);
        for (unsigned row = t.thread(); row < most_rows; row += threads) tiny[row] = 0;
        t.sync_block();
        const auto n_chunks = static_cast<unsigned>(chain::n_chunks(args.points.d));
        const auto share = static_cast<unsigned>(t.block() / args.chunk_blocks);
        const unsigned tile = share * warps + t.warp();
        const bool computes = tile < n_tiles(args.points.n);
        const pair_maps::Place place = pair_maps::triangle_place(computes ? tile : 0);
        const unsigned columns = stage_columns(args.points.n);

        float sums[edge * edge];
        clear(sums);
        Stage now{static_cast<unsigned>(t.block() % args.chunk_blocks), 0};
        Stage asked = now;
        for (unsigned s = 0; s < stages; ++s)
            asked = ask<piece_bytes>(t, asked, n_chunks, columns, staged + s * stage_elements);
        for (unsigned buffer = 0; now.chunk < n_chunks; buffer = (buffer + 1) % stages) {
            Stored* const here = staged + buffer * stage_elements;
            t.template wait_async<stages - 1>();
            look<piece_bytes>(t, now, columns, here, tiny);
            t.sync_block();
            const Stage next = after(now, columns);
            if (computes) {
                add_stage(t, here, columns, place, sums);
                if (next.chunk != now.chunk) {
                    end_chunk(t, sums, now.chunk, tile, place, tiny);
                    clear(sums);
                }
            }
            t.sync_block();
            asked = ask<piece_bytes>(t, asked, n_chunks, columns, here);
            now = next;
        }
    }

    ADABET_DEVICE static ADABET_INLINE void clear(float* sums) {
        ADABET_UNROLL
        for (unsigned p = 0; p < edge * edge; ++p) sums[p] = 0.0F;
    }
    ADABET_DEVICE ADABET_INLINE Stage after(const Stage& now, unsigned columns) const {
        if ((now.stage + 1) * columns < chain::columns_of(now.chunk, args.points.d)) return {now.chunk, now.stage + 1};
        return {now.chunk + args.chunk_blocks, 0};
    }

    /// Calls body(row, column, from, whole) for each of this thread's pieces of a stage, first element and all: whether it
    /// lies within the points.
    template <unsigned piece_bytes, class Thread, class Body>
    ADABET_DEVICE ADABET_INLINE void for_each_piece(const Thread& t, const Stage& at, unsigned columns,
                                                    Body&& body) const {
        constexpr unsigned elements = piece_bytes / sizeof(Stored);
        const std::size_t first = std::size_t{at.chunk} * chain::chunk_columns + std::size_t{at.stage} * columns;
        const std::size_t left = args.points.d - first;
        const unsigned row_pieces = columns / elements;
        for (unsigned piece = t.thread(); piece < rows_of(args.points.n) * row_pieces; piece += threads) {
            const unsigned row = piece / row_pieces;
            const unsigned column = piece % row_pieces * elements;
            const unsigned end = row >= args.points.n || column >= left ? 0
                                 : left - column < elements             ? static_cast<unsigned>(left - column)
                                                                        : elements;
            body(row, first + column, row * columns + column, end);
        }
    }

    /// Asks for a stage; returns the next one. Every call closes one batch of copies.
    template <unsigned piece_bytes, class Thread>
    ADABET_DEVICE ADABET_INLINE Stage ask(Thread& t, const Stage& at, unsigned n_chunks, unsigned columns,
                                          Stored* to) const {
        constexpr unsigned elements = piece_bytes / sizeof(Stored);
        if (at.chunk >= n_chunks) {
            t.commit_async();
            return at;
        }
        for_each_piece<piece_bytes>(
            t, at, columns, [&](unsigned row, std::size_t column, unsigned place, unsigned end) {
                const auto* const from = static_cast<const Stored*>(args.points.data) +
                                         static_cast<std::ptrdiff_t>(row) * args.points.point_stride + column;
                if (end == elements) return t.template copy_async<piece_bytes>(to + place, from);
                for (unsigned e = 0; e < elements; ++e) to[place + e] = e < end ? from[e] : Stored{};
            });
        t.commit_async();
        return after(at, columns);
    }

    /// Looks at what this thread has copied: for NaN and infinities, and for entries whose squares fp32 may lose.
    template <unsigned piece_bytes, class Thread>
    ADABET_DEVICE ADABET_INLINE void look(Thread& t, const Stage& at, unsigned columns, const Stored* staged,
                                          std::uint32_t* tiny) const {
        for_each_piece<piece_bytes>(t, at, columns,
                                    [&](unsigned row, std::size_t column, unsigned place, unsigned end) {
                                        for (unsigned e = 0; e < end; ++e) {
                                            const auto value = load_as<float>(staged[place + e]);
                                            if (is_tiny(value)) t.raise(&tiny[row], at.chunk + 1);
                                            if (!is_finite(value))
                                                t.lower(&args.findings->non_finite, row * args.points.d + column + e);
                                        }
                                    });
    }

    template <class Thread>
    ADABET_DEVICE ADABET_INLINE void add_stage(const Thread& t, const Stored* staged, unsigned columns,
                                               const pair_maps::Place& place, float* sums) const {
        const Stored* const a = staged + place.row * edge * columns + t.lane();
        const Stored* const b = staged + place.column * edge * columns + t.lane();
        for (unsigned k = 0; k < columns; k += 32) {
            float rows[edge];
            ADABET_UNROLL
            for (unsigned i = 0; i < edge; ++i) rows[i] = load_as<float>(a[i * columns + k]);
            ADABET_UNROLL
            for (unsigned j = 0; j < edge; ++j) {
                const auto other = load_as<float>(b[j * columns + k]);
                ADABET_UNROLL
                for (unsigned i = 0; i < edge; ++i)
                    sums[i * edge + j] = SumOfSquares::take(sums[i * edge + j], rounded::subtract(rows[i], other));
            }
        }
    }

    /// Folds the warp's lanes by halves; at each fold a lane keeps one half of its pairs and hands over the other, so that
    /// in the end lane l has the chunk's sums of the pairs 2 l and 2 l + 1.
    template <unsigned count, class Thread, class T>
    ADABET_DEVICE static ADABET_INLINE void fold(Thread& t, T* sums) {
        constexpr unsigned distance = count / 4;  // 64 pairs: lanes 16 apart
        const bool upper = (t.lane() & distance) != 0;
        ADABET_UNROLL
        for (unsigned p = 0; p < count / 2; ++p) {
            const T kept = upper ? sums[p + count / 2] : sums[p];
            const T handed = upper ? sums[p] : sums[p + count / 2];
            sums[p] = SumOfSquares::join(kept, t.from_lane_xor(handed, distance));
        }
    }
    template <class Thread>
    ADABET_DEVICE ADABET_INLINE void end_chunk(Thread& t, float* sums, unsigned chunk, unsigned tile,
                                               const pair_maps::Place& place, const std::uint32_t* tiny) const {
        fold<64>(t, sums);
        fold<32>(t, sums);
        double promoted[16];
        ADABET_UNROLL
        for (unsigned p = 0; p < 16; ++p) promoted[p] = static_cast<double>(sums[p]);
        fold<16>(t, promoted);
        fold<8>(t, promoted);
        fold<4>(t, promoted);
        double* const partial =
            args.partials + (std::size_t{chunk} * n_tiles(args.points.n) + tile) * (edge * edge) + 2 * t.lane();
        ADABET_UNROLL
        for (unsigned p = 0; p < 2; ++p) {
            const unsigned pair = 2 * t.lane() + p;
            double sum = promoted[p];
            if (!chain::is_kept(sum)) {
                const bool any_tiny = tiny[place.row * edge + pair / edge] == chunk + 1 ||
                                      tiny[place.column * edge + pair % edge] == chunk + 1;
                if (sum != 0.0 || any_tiny) sum = sum_to_rescue;
            }
            partial[p] = sum;
        }
    }
};

template <class Run>
void with_few_rows_kernel(const FewRowsArgs& args, Run&& run) {
    if (args.points.scalar == ScalarType::float16) return run(FewRowsKernel<Half>{args});
    if (args.points.scalar == ScalarType::bfloat16) return run(FewRowsKernel<BrainFloat>{args});
    return run(FewRowsKernel<float>{args});
}

}  // namespace adabet
// NOLINTEND(bugprone-implicit-widening-of-multiplication-result)
