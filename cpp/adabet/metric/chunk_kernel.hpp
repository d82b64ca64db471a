#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "adabet/host_device.hpp"
#include "adabet/isa.hpp"
#include "adabet/metric/ahead_kernel.hpp"
#include "adabet/metric/chain.hpp"
#include "adabet/metric/kernels.hpp"
#include "adabet/metric/marks_kernel.hpp"
#include "adabet/metric/metrics.hpp"
#include "adabet/metric/vector_of.hpp"

/// Register-blocked sums over one chunk of columns (the order is chain.hpp's). Included by kernels.cpp alone.
namespace adabet::chunk_kernel {

/// Core::take of whole vectors of double.
template <class Core, class V>
ADABET_INLINE void take_vector(V& sums, const V& difference) {
    if constexpr (std::is_same_v<Core, SumOfSquares>) {
        sums += difference * difference;
    } else {
        using Bits = Vector<std::int64_t, sizeof(V) / sizeof(double)>;
        const Bits bits = reinterpret_cast<Bits>(difference) & std::numeric_limits<std::int64_t>::max();
        const V size = reinterpret_cast<V>(bits);
        if constexpr (std::is_same_v<Core, LargestAbsolute>) {
            sums = size > sums ? size : sums;
        } else {
            sums += size;
        }
    }
}

/// f(0), f(1), ..., written out: GCC 12 leaves arrays of vectors that loops run over in memory.
template <std::size_t count, class F>
ADABET_INLINE void written_out(F&& f) {
    [&]<std::size_t... k>(std::index_sequence<k...>) __attribute__((always_inline)) {
        (f(std::integral_constant<std::size_t, k>{}), ...);
    }(std::make_index_sequence<count>{});
}

#if ADABET_X86_64 && !defined(__clang__)
/// take_step of float, where there is an instruction for it: there is no word for a fused multiply-add of vectors. Rows are
/// held in registers; GCC 12 otherwise reads them again for each of their uses, or not, as the code around happens to be.
template <std::size_t W, std::size_t A, std::size_t B>
ADABET_INLINE void take_squares(const float* a, const float* b, std::size_t ld, Vector<float, W> (&sums)[A][B]) {
    using V = Vector<float, W>;
    const auto load = [](const float* from, V& values) __attribute__((always_inline)) {
        __builtin_memcpy(&values, from, sizeof values);
        __asm__("" : "+v"(values));
    };
    V rows_b[B];
    written_out<B>([&](auto j) __attribute__((always_inline)) { load(b + j * ld, rows_b[j]); });
    written_out<A>([&](auto i) __attribute__((always_inline)) {
        V row_a;
        load(a + i * ld, row_a);
        written_out<B>([&](auto j) __attribute__((always_inline)) {
            const V difference = row_a - rows_b[j];
            __asm__("vfmadd231ps %1, %1, %0" : "+v"(sums[i][j]) : "v"(difference));
        });
    });
}
#endif

/// One step of the chains of A x B pairs. Double by whole vectors: from loops GCC 12 leaves the sums in memory.
template <class Core, std::size_t W, std::size_t A, std::size_t B, class T>
ADABET_INLINE void take_step(const T* a, const T* b, std::size_t ld, Vector<T, W> (&sums)[A][B]) {
#if ADABET_X86_64 && !defined(__clang__)
    if constexpr (sizeof(T) == sizeof(float) && W >= 8) {
        static_assert(std::is_same_v<Core, SumOfSquares>);
        return take_squares<W>(a, b, ld, sums);
    }
#endif
    for (std::size_t i = 0; i < A; ++i)
        for (std::size_t j = 0; j < B; ++j) {
            if constexpr (sizeof(T) == sizeof(double)) {
                Vector<T, W> x;
                Vector<T, W> y;
                __builtin_memcpy(&x, a + i * ld, sizeof x);
                __builtin_memcpy(&y, b + j * ld, sizeof y);
                take_vector<Core>(sums[i][j], Vector<T, W>(x - y));
            } else {
                for (std::size_t l = 0; l < W; ++l)
                    sums[i][j][l] = Core::take(sums[i][j][l], rounded::subtract(a[i * ld + l], b[j * ld + l]));
            }
        }
}

// W lanes of the chains of some pairs: W is what one register holds, so that all accumulators stay in registers.

/// All pairs of A rows and B rows.
template <std::size_t A, std::size_t B>
struct Rectangle {
    static constexpr std::size_t rows_a = A;
    static constexpr std::size_t rows_b = B;
    static constexpr std::size_t pairs = A * B;
    static constexpr std::size_t side_by_side = B;  ///< pairs of one row, in consecutive columns
    static constexpr std::size_t row(std::size_t pair) { return pair / B; }
    static constexpr std::size_t column(std::size_t pair) { return pair % B; }

    template <class Core, std::size_t W, class T, class Soon>
    static ADABET_INLINE void run_chains(const T* a, const T* b, std::size_t ld, std::size_t steps, Soon soon,
                                         Vector<T, W> (&sums)[pairs]) {
        Vector<T, W> chains[A][B] = {};
        for (std::size_t step = 0; step < steps; ++step) {
            soon.step();
            take_step<Core, W, A, B>(a + step * chain::lanes, b + step * chain::lanes, ld, chains);
        }
        written_out<pairs>([&](auto pair)
                               __attribute__((always_inline)) { sums[pair] = chains[row(pair)][column(pair)]; });
    }
};

/// The pairs i < j among four rows: 02 03 12 13, 01 23.
struct Triangle {
    static constexpr std::size_t rows_a = 4;
    static constexpr std::size_t rows_b = 4;
    static constexpr std::size_t pairs = 6;
    static constexpr std::size_t side_by_side = 1;
    static constexpr std::size_t row(std::size_t pair) { return pair < 4 ? pair / 2 : pair % 2 * 2; }
    static constexpr std::size_t column(std::size_t pair) { return pair < 4 ? 2 + pair % 2 : pair % 2 * 2 + 1; }

    template <class Core, std::size_t W, class T, class Soon>
    static ADABET_INLINE void run_chains(const T* a, const T*, std::size_t ld, std::size_t steps, Soon soon,
                                         Vector<T, W> (&sums)[pairs]) {
        Vector<T, W> across[2][2] = {};  // two arrays: in one, GCC 12 leaves some of them in memory
        Vector<T, W> beside[2][1][1] = {};
        for (std::size_t step = 0; step < steps; ++step) {
            soon.step();
            const T* at = a + step * chain::lanes;
            take_step<Core, W, 2, 2>(at, at + 2 * ld, ld, across);
            written_out<2>([&](auto p) __attribute__((always_inline)) {
                take_step<Core, W, 1, 1>(at + 2 * p * ld, at + (2 * p + 1) * ld, ld, beside[p]);
            });
        }
        written_out<4>([&](auto p) __attribute__((always_inline)) { sums[p] = across[p / 2][p % 2]; });
        written_out<2>([&](auto p) __attribute__((always_inline)) { sums[4 + p] = beside[p][0][0]; });
    }
};

/// Joined lane by lane into a.
template <class Core, class V>
ADABET_INLINE void join_lanes(V& a, const V& b) {
    if constexpr (std::is_same_v<Core, LargestAbsolute>) {
        a = a > b ? a : b;
    } else {
        a += b;
    }
}

/// The lanes that are left of a pair, 32, 16 or 8, to four: by halves in T down to eight, then promoted, then by halves.
template <class Core, std::size_t left, class T>
ADABET_INLINE void fold_to_four(const T* lanes, Vector<double, 4>& four) {
    const auto* const at = reinterpret_cast<const Vector<T, 8>*>(lanes);
    Vector<T, 8> near = at[0];
    if constexpr (left >= 16) {
        Vector<T, 8> far = at[1];
        if constexpr (left == 32) {
            join_lanes<Core>(near, at[2]);
            join_lanes<Core>(far, at[3]);
        }
        join_lanes<Core>(near, far);
    }
    alignas(32) double halves[8];  // by a loop: GCC 12 converts four lanes at once here, two at once in a conversion
    for (std::size_t l = 0; l < 8; ++l) halves[l] = near[l];
    four = *reinterpret_cast<const Vector<double, 4>*>(halves);
    join_lanes<Core>(four, *reinterpret_cast<const Vector<double, 4>*>(halves + 4));
}

/// What is left to one sum.
template <class Core, std::size_t left, class T>
ADABET_INLINE double fold(const T* lanes) {
    Vector<double, 4> four;
    fold_to_four<Core, left>(lanes, four);
    return Core::join(Core::join(four[0], four[2]), Core::join(four[1], four[3]));
}

/// The sums of `count` pairs, four side by side; `sums` has room for whole fours.
template <class Core, std::size_t count, std::size_t left, std::size_t kept, class T>
ADABET_INLINE void fold_all(const T (*lanes)[kept], double* sums) {
    if constexpr (count == 1) {
        sums[0] = fold<Core, left>(lanes[0]);
        return;
    }
    for (std::size_t pair = 0; pair < count; pair += 4) {
        Vector<double, 4> four[4];
        for (std::size_t p = 0; p < 4; ++p) fold_to_four<Core, left>(lanes[std::min(pair + p, count - 1)], four[p]);
        for (std::size_t p = 0; p < 4; p += 2) {  // two lanes of one pair, two of the next
            const auto upper = __builtin_shufflevector(four[p], four[p + 1], 2, 3, 6, 7);
            four[p] = __builtin_shufflevector(four[p], four[p + 1], 0, 1, 4, 5);
            join_lanes<Core>(four[p], upper);
        }
        const auto odd = __builtin_shufflevector(four[0], four[2], 1, 3, 5, 7);
        four[0] = __builtin_shufflevector(four[0], four[2], 0, 2, 4, 6);
        join_lanes<Core>(four[0], odd);
        *reinterpret_cast<Vector<double, 4>*>(sums + pair) = four[0];
    }
}

/// One pair's chunk in fp64, from fp32 rows: what stands in for a chunk whose squares fp32 cannot hold.
ADABET_INLINE double redo_in_double(const float* a, const float* b, std::size_t steps) {
    alignas(64) double sums[chain::lanes] = {};
    for (std::size_t step = 0; step < steps; ++step)
        for (std::size_t l = 0; l < chain::lanes; ++l) {
            const std::size_t k = step * chain::lanes + l;
            sums[l] =
                SumOfSquares::take(sums[l], rounded::subtract(static_cast<double>(a[k]), static_cast<double>(b[k])));
        }
    return fold<SumOfSquares, chain::lanes>(sums);
}

/// Plain chains, for processors whose instructions say what chain.hpp says: W lanes in each pass. Later lanes are folded into
/// the earlier ones, by halves, as soon as they are there, while they still are in a register.
template <std::size_t W, std::size_t A, std::size_t B>
struct Direct {
    static constexpr std::size_t rows_a = A;
    static constexpr std::size_t rows_b = B;
    static constexpr std::size_t passes = chain::lanes / W;
    static constexpr std::size_t kept = chain::lanes / 2;               ///< lanes of a pair that are stored
    static constexpr std::size_t left = std::max(W, chain::lanes / 4);  ///< and those not yet folded in the end
    static constexpr bool triangles = A == 4 && B == 4 && W == 16;      ///< worth it where six chains keep a core busy
    static constexpr std::size_t steps_a_line = triangles ? 1 : 4;      ///< from one line ahead to the next
    static constexpr std::size_t at_a_time = triangles ? 9 : 4;         ///< tiles side by side
    static constexpr bool copies_ahead = triangles;                     ///< where a step has room for a line

    template <class Core, class Shape, class T, class Soon>
    ADABET_INLINE void run(const ChunkBlock<T>& block, std::size_t i, std::size_t j, std::size_t pass, const Soon& soon,
                           T (*lanes)[kept]) {
        using V = Vector<T, W>;
        const std::size_t first = pass * W;
        V sums[Shape::pairs];
        Shape::template run_chains<Core, W>(block.a + i * block.ld + first, block.b + j * block.ld + first, block.ld,
                                            block.steps, soon, sums);
        std::size_t to = first;
        const auto join_with = [&](std::size_t earlier) __attribute__((always_inline)) {
            to = earlier;
            written_out<Shape::pairs>([&](auto p) __attribute__((always_inline)) {
                join_lanes<Core>(sums[p], *reinterpret_cast<const V*>(lanes[p] + to));
            });
        };
        if (to >= kept) join_with(to - kept);
        if (first >= kept && to >= left) join_with(to - left);
        written_out<Shape::pairs>(
            [&](auto p) __attribute__((always_inline)) { *reinterpret_cast<V*>(lanes[p] + to) = sums[p]; });
    }
};

/// Whether all those sums are chain::is_kept; beyond one alone, whole fours are looked at.
template <std::size_t count>
ADABET_INLINE bool are_kept(const double* sums) {
    if constexpr (count == 1) return chain::is_kept(sums[0]);
    Vector<std::int64_t, 4> kept = {-1, -1, -1, -1};
    for (std::size_t k = 0; k < count; k += 4) {
        const auto& four = *reinterpret_cast<const Vector<double, 4>*>(sums + k);
        kept &= (four >= chain::smallest_kept) & (four <= chain::largest_kept);
    }
    return (kept[0] & kept[1] & kept[2] & kept[3]) != 0;
}

/// Joins the sums of a tile that lies in the block as a whole.
template <class Core, class Shape, class T>
ADABET_INLINE void join_tile(const ChunkBlock<T>& block, std::size_t i, std::size_t j, const double* sums) {
    constexpr std::size_t side_by_side = Shape::side_by_side;
    for (std::size_t pair = 0; pair < Shape::pairs; pair += side_by_side) {
        double* const to = block.sums + (i + Shape::row(pair)) * block.ld_sums + j + Shape::column(pair);
        if constexpr (side_by_side == 1) {
            *to = Core::join(*to, sums[pair]);
        } else {
            Vector<double, side_by_side> joined;
            __builtin_memcpy(&joined, to, sizeof joined);
            join_lanes<Core>(joined, *reinterpret_cast<const Vector<double, side_by_side>*>(sums + pair));
            __builtin_memcpy(to, &joined, sizeof joined);
        }
    }
}

/// Folds the lanes of a tile of pairs and joins what comes of them into the block's sums.
template <class Core, class Chains, class Shape, class T>
ADABET_INLINE void end_tile(const ChunkBlock<T>& block, std::size_t i, std::size_t j, const T (*lanes)[Chains::kept]) {
    constexpr std::size_t pairs = Shape::pairs;
    alignas(64) double sums[chain::ceil_div(pairs, 4) * 4];
    fold_all<Core, pairs, Chains::left>(lanes, sums);
    const bool whole = i + Shape::rows_a <= block.n_a && j + Shape::rows_b <= block.n_b;
    if (whole && (sizeof(T) == sizeof(double) || are_kept<pairs>(sums)))
        return join_tile<Core, Shape>(block, i, j, sums);
    for (std::size_t pair = 0; pair < pairs; ++pair) {
        const std::size_t row = i + Shape::row(pair);
        const std::size_t column = j + Shape::column(pair);
        if (row >= block.n_a || column >= block.n_b) continue;
        if constexpr (sizeof(T) == sizeof(float)) {
            if (!chain::is_kept(sums[pair])) {
                const float* a = block.a + row * block.ld;
                const float* b = block.b + column * block.ld;
                const std::size_t columns = block.steps * chain::lanes;
                if (sums[pair] != 0.0 || marks_kernel::has_tiny(a, columns, block.marks_a[row]) ||
                    marks_kernel::has_tiny(b, columns, block.marks_b[column]))
                    sums[pair] = redo_in_double(a, b, block.steps);
            }
        }
        double& sum = block.sums[row * block.ld_sums + column];
        sum = Core::join(sum, sums[pair]);
    }
}

template <class Core, class Chains, class NextPiece, class T>
ADABET_INLINE void sum_block_beside(const ChunkBlock<T>& block) {
    constexpr std::size_t A = Chains::rows_a;
    constexpr std::size_t B = Chains::rows_b;
    // In each pass the rows of a stay in the first-level cache while so many tiles go by.
    constexpr std::size_t at_a_time = Chains::at_a_time;
    alignas(64) T lanes[at_a_time][A * B][Chains::kept];
    Chains chains;
    const auto first_column = [&block](std::size_t i) {
        if (!block.diagonal) return std::size_t{0};
        return Chains::triangles ? std::min(i + A, block.n_b) : (i + 1) / B * B;
    };
    std::size_t runs = 0;
    for (std::size_t i = 0; i < block.n_a; i += A) {
        const std::size_t columns = block.n_b - std::min(first_column(i), block.n_b);
        runs += Chains::passes * (columns / B + columns % B);
    }
    const bool triangles_rest = NextPiece::can_do_with(block.ahead, runs);
    if (block.diagonal && Chains::triangles && !triangles_rest) runs += Chains::passes * chain::ceil_div(block.n_a, A);
    NextPiece next_piece(block.ahead, runs, block.steps, block.a);
    // `count` tiles of one shape, side by side. Inlined for certain: out of line it would be of no instruction set.
    const auto sum_tiles = [&]<class Shape>(Shape, std::size_t i, std::size_t j,
                                            std::size_t count) __attribute__((always_inline)) {
        for (std::size_t pass = 0; pass < Chains::passes; ++pass)
            for (std::size_t t = 0; t < count; ++t) {
                const std::size_t column = j + t * Shape::rows_b;
                if constexpr (std::is_same_v<Shape, Triangle>)
                    if (triangles_rest) {
                        chains.template run<Core, Shape>(block, i, column, pass, ahead_kernel::Nothing{}, lanes[t]);
                        continue;
                    }
                chains.template run<Core, Shape>(block, i, column, pass, next_piece(), lanes[t]);
            }
        for (std::size_t t = 0; t < count; ++t)
            end_tile<Core, Chains, Shape>(block, i, j + t * Shape::rows_b, lanes[t]);
    };
    for (std::size_t i = 0; i < block.n_a; i += A) {
        if constexpr (Chains::triangles)
            if (block.diagonal) sum_tiles(Triangle{}, i, i, 1);
        std::size_t j = first_column(i);
        while (j + B <= block.n_b) {
            const std::size_t count = std::min(at_a_time, (block.n_b - j) / B);
            sum_tiles(Rectangle<A, B>{}, i, j, count);
            j += count * B;
        }
        if constexpr (B > 1)
            if (j < block.n_b) sum_tiles(Rectangle<A, 1>{}, i, j, block.n_b - j);
    }
    next_piece.finish();
}

template <class Core, class Chains, class T>
ADABET_INLINE void sum_block(const ChunkBlock<T>& block) {
    if constexpr (Chains::copies_ahead && sizeof(T) == sizeof(float))
        if (block.ahead.to != nullptr) return sum_block_beside<Core, Chains, ahead_kernel::Copying>(block);
    using Asking = ahead_kernel::Asking<ahead_kernel::line / Chains::steps_a_line>;
    sum_block_beside<Core, Chains, Asking>(block);
}

}  // namespace adabet::chunk_kernel
