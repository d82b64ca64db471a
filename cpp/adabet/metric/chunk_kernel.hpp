#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

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

/// W lanes of the chains of A x B pairs: W is what one register holds, so that all accumulators stay in registers.
template <class Core, std::size_t W, std::size_t A, std::size_t B, class T>
ADABET_INLINE void run_chains(const T* a, const T* b, std::size_t ld, std::size_t steps, Vector<T, W> (&sums)[A][B]) {
    for (std::size_t i = 0; i < A; ++i)
        for (std::size_t j = 0; j < B; ++j) sums[i][j] = Vector<T, W>{};
    for (std::size_t step = 0; step < steps; ++step) {
        const T* at_a = a + step * chain::lanes;
        const T* at_b = b + step * chain::lanes;
        for (std::size_t i = 0; i < A; ++i)
            for (std::size_t j = 0; j < B; ++j)
                for (std::size_t l = 0; l < W; ++l)
                    sums[i][j][l] = Core::take(sums[i][j][l], rounded::subtract(at_a[i * ld + l], at_b[j * ld + l]));
    }
}

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
    four = __builtin_convertvector(__builtin_shufflevector(near, near, 0, 1, 2, 3), Vector<double, 4>);
    const auto upper = __builtin_convertvector(__builtin_shufflevector(near, near, 4, 5, 6, 7), Vector<double, 4>);
    join_lanes<Core>(four, upper);
}

/// What is left to one sum.
template <class Core, std::size_t left, class T>
ADABET_INLINE double fold(const T* lanes) {
    Vector<double, 4> four;
    fold_to_four<Core, left>(lanes, four);
    return Core::join(Core::join(four[0], four[2]), Core::join(four[1], four[3]));
}

/// The sums of `count` pairs; four at a time are folded side by side.
template <class Core, std::size_t count, std::size_t left, std::size_t kept, class T>
ADABET_INLINE void fold_all(const T (*lanes)[kept], double* sums) {
    std::size_t pair = 0;
    for (; pair + 4 <= count; pair += 4) {
        Vector<double, 4> four[4];
        for (std::size_t p = 0; p < 4; ++p) fold_to_four<Core, left>(lanes[pair + p], four[p]);
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
    for (; pair < count; ++pair) sums[pair] = fold<Core, left>(lanes[pair]);
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

    template <class Core, class T>
    ADABET_INLINE void run(const ChunkBlock<T>& block, std::size_t i, std::size_t j, std::size_t pass,
                           T (*lanes)[kept]) {
        using V = Vector<T, W>;
        const std::size_t first = pass * W;
        V sums[A][B];
        run_chains<Core, W, A, B>(block.a + i * block.ld + first, block.b + j * block.ld + first, block.ld, block.steps,
                                  sums);
        std::size_t to = first;
        const auto join_with = [&](std::size_t earlier) {
            to = earlier;
            for (std::size_t p = 0; p < A * B; ++p)
                join_lanes<Core>(sums[p / B][p % B], *reinterpret_cast<const V*>(lanes[p] + to));
        };
        if (to >= kept) join_with(to - kept);
        if (first >= kept && to >= left) join_with(to - left);
        for (std::size_t p = 0; p < A * B; ++p) *reinterpret_cast<V*>(lanes[p] + to) = sums[p / B][p % B];
    }
};

/// Walks the lines of an Ahead, a few at a time.
class Walk {
public:
    explicit Walk(const Ahead& ahead) : ahead_(ahead) {}

    ADABET_INLINE void ask_for(std::size_t lines) {
        for (; lines > 0 && row_ < ahead_.rows; --lines) {
            __builtin_prefetch(ahead_.first + static_cast<std::ptrdiff_t>(row_) * ahead_.row_bytes + at_, 0, 2);
            at_ += line;
            if (at_ >= ahead_.bytes) {
                at_ = 0;
                ++row_;
            }
        }
    }
    [[nodiscard]] std::size_t lines() const { return ahead_.rows * chain::ceil_div(ahead_.bytes, line); }

private:
    static constexpr std::size_t line = 64;
    const Ahead& ahead_;
    std::size_t row_ = 0;
    std::size_t at_ = 0;
};

/// Folds the lanes of a tile of pairs and joins what comes of them into the block's sums.
template <class Core, class Chains, class T>
ADABET_INLINE void end_tile(const ChunkBlock<T>& block, std::size_t i, std::size_t j, const T (*lanes)[Chains::kept]) {
    constexpr std::size_t A = Chains::rows_a;
    constexpr std::size_t B = Chains::rows_b;
    alignas(64) double sums[A * B];
    fold_all<Core, A * B, Chains::left>(lanes, sums);
    unsigned lost = 0;
    if constexpr (sizeof(T) == sizeof(float))
        for (std::size_t pair = 0; pair < A * B; ++pair) lost |= chain::is_kept(sums[pair]) ? 0U : 1U;
    const bool whole = i + A <= block.n_a && j + B <= block.n_b;
    if (whole && lost == 0) {
        for (std::size_t r = 0; r < A; ++r)
            for (std::size_t c = 0; c < B; ++c) {
                double& sum = block.sums[(i + r) * block.ld_sums + j + c];
                sum = Core::join(sum, sums[r * B + c]);
            }
        return;
    }
    for (std::size_t pair = 0; pair < A * B; ++pair) {
        const std::size_t row = i + pair / B;
        const std::size_t column = j + pair % B;
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
    const auto first_column = [&block](std::size_t i) { return block.diagonal ? (i + 1) / B * B : 0; };
    std::size_t runs = 0;
    for (std::size_t i = 0; i < block.n_a; i += A)
        runs += Chains::passes * chain::ceil_div(block.n_b - std::min(first_column(i), block.n_b), B);
    // A few at a time: a processor waits where it is asked for more lines than it can have under way.
    const std::size_t lines_a_run = runs == 0 ? 0 : chain::ceil_div(walk.lines(), runs);
    for (std::size_t i = 0; i < block.n_a; i += A) {
        const std::size_t first_j = first_column(i);
        for (std::size_t j0 = first_j; j0 < block.n_b; j0 += at_a_time * B) {
            const std::size_t here = std::min(at_a_time, chain::ceil_div(block.n_b - j0, B));
            for (std::size_t pass = 0; pass < Chains::passes; ++pass)
                for (std::size_t t = 0; t < here; ++t) {
                    walk.ask_for(lines_a_run);
                    chains.template run<Core>(block, i, j0 + t * B, pass, lanes[t]);
                }
            for (std::size_t t = 0; t < here; ++t) end_tile<Core, Chains>(block, i, j0 + t * B, lanes[t]);
        }
    }
}

}  // namespace adabet::chunk_kernel
