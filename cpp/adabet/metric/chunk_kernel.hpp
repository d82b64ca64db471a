#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "adabet/host_device.hpp"
#include "adabet/isa.hpp"
#include "adabet/metric/chain.hpp"
#include "adabet/metric/kernels.hpp"
#include "adabet/metric/metrics.hpp"

/// Register-blocked sums over one chunk of columns (the order is chain.hpp's). Included by kernels.cpp alone.
namespace adabet::chunk_kernel {

/// Vectors of so many T. Where the house has plain loops: from those GCC made shuffles across pairs here, or scalar code.
/// They are passed by reference, since how they are passed by value depends on the instruction set.
template <class T, std::size_t count>
struct VectorOf {
    using type __attribute__((vector_size(count * sizeof(T)), may_alias)) = T;
};
template <class T, std::size_t count>
using Vector = VectorOf<T, count>::type;

/// Memory to ask for in the course of a run: a line with each step, since a processor waits where it is asked for more
/// lines than it can have under way.
struct Piece {
    const unsigned char* first;
    std::ptrdiff_t stride;  ///< 0: nothing to ask for

    ADABET_INLINE void ask() {
        __builtin_prefetch(first, 0, 2);
        first += stride;
    }
};

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

/// One step of the chains of A x B pairs. Double by whole vectors: from loops GCC 12 leaves the sums in memory; float by loops:
/// there is no word for a fused multiply-add of vectors.
template <class Core, std::size_t W, std::size_t A, std::size_t B, class T>
ADABET_INLINE void take_step(const T* a, const T* b, std::size_t ld, Vector<T, W> (&sums)[A][B]) {
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
    static constexpr std::size_t row(std::size_t pair) { return pair / B; }
    static constexpr std::size_t column(std::size_t pair) { return pair % B; }

    template <class Core, std::size_t W, class T>
    static ADABET_INLINE void run_chains(const T* a, const T* b, std::size_t ld, std::size_t steps, Piece soon,
                                         Vector<T, W> (&sums)[pairs]) {
        Vector<T, W> chains[A][B] = {};
        for (std::size_t step = 0; step < steps; ++step) {
            soon.ask();
            take_step<Core, W, A, B>(a + step * chain::lanes, b + step * chain::lanes, ld, chains);
        }
        for (std::size_t pair = 0; pair < pairs; ++pair) sums[pair] = chains[row(pair)][column(pair)];
    }
};

/// The pairs i < j among four rows: 02 03 12 13, 01 23.
struct Triangle {
    static constexpr std::size_t rows_a = 4;
    static constexpr std::size_t rows_b = 4;
    static constexpr std::size_t pairs = 6;
    static constexpr std::size_t row(std::size_t pair) { return pair < 4 ? pair / 2 : pair % 2 * 2; }
    static constexpr std::size_t column(std::size_t pair) { return pair < 4 ? 2 + pair % 2 : pair % 2 * 2 + 1; }

    template <class Core, std::size_t W, class T>
    static ADABET_INLINE void run_chains(const T* a, const T*, std::size_t ld, std::size_t steps, Piece soon,
                                         Vector<T, W> (&sums)[pairs]) {
        Vector<T, W> across[2][2] = {};  // two arrays: in one, GCC 12 leaves some of them in memory
        Vector<T, W> beside[2] = {};
        for (std::size_t step = 0; step < steps; ++step) {
            soon.ask();
            const T* at = a + step * chain::lanes;
            take_step<Core, W, 2, 2>(at, at + 2 * ld, ld, across);
            for (std::size_t p = 0; p < 2; ++p)
                for (std::size_t l = 0; l < W; ++l)
                    beside[p][l] =
                        Core::take(beside[p][l], rounded::subtract(at[2 * p * ld + l], at[(2 * p + 1) * ld + l]));
        }
        for (std::size_t pair = 0; pair < 4; ++pair) sums[pair] = across[pair / 2][pair % 2];
        for (std::size_t p = 0; p < 2; ++p) sums[4 + p] = beside[p];
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
    static constexpr std::size_t steps_a_line = triangles ? 1 : 4;      ///< from one line asked for to the next

    template <class Core, class Shape, class T>
    ADABET_INLINE void run(const ChunkBlock<T>& block, std::size_t i, std::size_t j, std::size_t pass,
                           const Piece& soon, T (*lanes)[kept]) {
        using V = Vector<T, W>;
        const std::size_t first = pass * W;
        V sums[Shape::pairs];
        Shape::template run_chains<Core, W>(block.a + i * block.ld + first, block.b + j * block.ld + first, block.ld,
                                            block.steps, soon, sums);
        std::size_t to = first;
        const auto join_with = [&](std::size_t earlier) __attribute__((always_inline)) {
            to = earlier;
            for (std::size_t p = 0; p < Shape::pairs; ++p)
                join_lanes<Core>(sums[p], *reinterpret_cast<const V*>(lanes[p] + to));
        };
        if (to >= kept) join_with(to - kept);
        if (first >= kept && to >= left) join_with(to - left);
        for (std::size_t p = 0; p < Shape::pairs; ++p) *reinterpret_cast<V*>(lanes[p] + to) = sums[p];
    }
};

/// Walks the lines of an Ahead.
class Walk {
public:
    explicit Walk(const Ahead& ahead) : ahead_(ahead) {}

    /// So many lines at once.
    ADABET_INLINE void ask_for(std::size_t lines) {
        for (; lines > 0 && row_ < ahead_.rows; --lines) {
            __builtin_prefetch(here(), 0, 2);
            advance(line);
        }
    }
    /// So many bytes for each step of a run to ask for; beyond a row's end they are of its next chunk.
    ADABET_INLINE Piece piece(std::size_t bytes, std::size_t steps, const void* nothing) {
        if (row_ >= ahead_.rows) return {.first = static_cast<const unsigned char*>(nothing), .stride = 0};
        const Piece next{.first = here(), .stride = static_cast<std::ptrdiff_t>(bytes)};
        advance(bytes * steps);
        return next;
    }

    static constexpr std::size_t line = 64;
    [[nodiscard]] std::size_t lines() const { return ahead_.rows * chain::ceil_div(ahead_.bytes, line); }

private:
    // Where a row begins within a line: not that line, which its chunk before shares, but all that follow.
    [[nodiscard]] ADABET_INLINE const unsigned char* here() const {
        return ahead_.first + static_cast<std::ptrdiff_t>(row_) * ahead_.row_bytes + at_ + (line - 1);
    }
    ADABET_INLINE void advance(std::size_t bytes) {
        at_ += bytes;
        if (at_ < ahead_.bytes) return;
        at_ = 0;
        ++row_;
    }

    const Ahead& ahead_;
    std::size_t row_ = 0;
    std::size_t at_ = 0;
};

/// Folds the lanes of a tile of pairs and joins what comes of them into the block's sums.
template <class Core, class Chains, class Shape, class T>
ADABET_INLINE void end_tile(const ChunkBlock<T>& block, std::size_t i, std::size_t j, const T (*lanes)[Chains::kept]) {
    constexpr std::size_t pairs = Shape::pairs;
    alignas(64) double sums[chain::ceil_div(pairs, 4) * 4];
    fold_all<Core, pairs, Chains::left>(lanes, sums);
    unsigned lost = 0;
    if constexpr (sizeof(T) == sizeof(float))
        for (std::size_t pair = 0; pair < pairs; ++pair) lost |= chain::is_kept(sums[pair]) ? 0U : 1U;
    const bool whole = i + Shape::rows_a <= block.n_a && j + Shape::rows_b <= block.n_b;
    if (whole && lost == 0) {
        for (std::size_t pair = 0; pair < pairs; ++pair) {
            double& sum = block.sums[(i + Shape::row(pair)) * block.ld_sums + j + Shape::column(pair)];
            sum = Core::join(sum, sums[pair]);
        }
        return;
    }
    for (std::size_t pair = 0; pair < pairs; ++pair) {
        const std::size_t row = i + Shape::row(pair);
        const std::size_t column = j + Shape::column(pair);
        if (row >= block.n_a || column >= block.n_b) continue;
        if constexpr (sizeof(T) == sizeof(float)) {
            if (!chain::is_kept(sums[pair])) {
                const bool tiny = ((block.marks_a[row] | block.marks_b[column]) & mark_tiny) != 0;
                if (sums[pair] != 0.0 || tiny)
                    sums[pair] = redo_in_double(block.a + row * block.ld, block.b + column * block.ld, block.steps);
            }
        }
        double& sum = block.sums[row * block.ld_sums + column];
        sum = Core::join(sum, sums[pair]);
    }
}

template <class Core, class Chains, class T>
ADABET_INLINE void sum_block(const ChunkBlock<T>& block) {
    constexpr std::size_t A = Chains::rows_a;
    constexpr std::size_t B = Chains::rows_b;
    // In each pass the rows of a stay in the first-level cache while so many tiles go by.
    constexpr std::size_t at_a_time = 4;
    alignas(64) T lanes[at_a_time][A * B][Chains::kept];
    Chains chains;
    Walk walk(block.ahead);
    const auto first_column = [&block](std::size_t i) {
        if (!block.diagonal) return std::size_t{0};
        return Chains::triangles ? std::min(i + A, block.n_b) : (i + 1) / B * B;
    };
    std::size_t runs = 0;
    for (std::size_t i = 0; i < block.n_a; i += A) {
        const std::size_t columns = block.n_b - std::min(first_column(i), block.n_b);
        runs += Chains::passes * (columns / B + columns % B + (block.diagonal && Chains::triangles ? 1 : 0));
    }
    const std::size_t lines_a_run = runs == 0 ? 0 : chain::ceil_div(walk.lines(), runs);
    const std::size_t at_once = lines_a_run - std::min(lines_a_run, block.steps / Chains::steps_a_line);
    // Inlined for certain: out of line they would be of no instruction set.
    const auto soon = [&]() __attribute__((always_inline)) {
        walk.ask_for(at_once);
        return walk.piece(Walk::line / Chains::steps_a_line, block.steps, block.a);
    };
    // `count` tiles of one shape, side by side.
    const auto sum_tiles = [&]<class Shape>(Shape, std::size_t i, std::size_t j,
                                            std::size_t count) __attribute__((always_inline)) {
        for (std::size_t pass = 0; pass < Chains::passes; ++pass)
            for (std::size_t t = 0; t < count; ++t)
                chains.template run<Core, Shape>(block, i, j + t * Shape::rows_b, pass, soon(), lanes[t]);
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
}

}  // namespace adabet::chunk_kernel
