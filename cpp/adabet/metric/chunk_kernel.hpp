#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "adabet/host_device.hpp"
#include "adabet/isa.hpp"
#include "adabet/metric/chain.hpp"
#include "adabet/metric/kernels.hpp"
#include "adabet/metric/metrics.hpp"

/// Register-blocked sums over one chunk of columns (the order is chain.hpp's). Included by kernels.cpp alone.
namespace adabet::chunk_kernel {

/// Chains of A x B pairs with W lanes at a time: W is what one register holds, so that all accumulators stay in registers.
/// lanes[pair][lane] receives the 32 lanes of each pair.
template <class Core, std::size_t W, std::size_t A, std::size_t B, class T>
ADABET_INLINE void run_chains(const T* a, const T* b, std::size_t ld, std::size_t steps, T (*lanes)[chain::lanes]) {
    for (std::size_t first = 0; first < chain::lanes; first += W) {
        T sums[A][B][W];
        for (std::size_t i = 0; i < A; ++i)
            for (std::size_t j = 0; j < B; ++j)
                for (std::size_t l = 0; l < W; ++l) sums[i][j][l] = T{0};
        for (std::size_t step = 0; step < steps; ++step) {
            const T* at_a = a + step * chain::lanes + first;
            const T* at_b = b + step * chain::lanes + first;
            for (std::size_t i = 0; i < A; ++i)
                for (std::size_t j = 0; j < B; ++j)
                    for (std::size_t l = 0; l < W; ++l)
                        sums[i][j][l] =
                            Core::take(sums[i][j][l], rounded::subtract(at_a[i * ld + l], at_b[j * ld + l]));
        }
        for (std::size_t i = 0; i < A; ++i)
            for (std::size_t j = 0; j < B; ++j)
                for (std::size_t l = 0; l < W; ++l) lanes[i * B + j][first + l] = sums[i][j][l];
    }
}

/// 32 lanes to one sum: twice by halves in T, then promoted, then by halves in fp64.
template <class Core, class T>
ADABET_INLINE double fold(const T* lanes) {
    T half[16];
    for (std::size_t l = 0; l < 16; ++l) half[l] = Core::join(lanes[l], lanes[l + 16]);
    double sums[8];
    for (std::size_t l = 0; l < 8; ++l) sums[l] = static_cast<double>(Core::join(half[l], half[l + 8]));
    double four[4];
    for (std::size_t l = 0; l < 4; ++l) four[l] = Core::join(sums[l], sums[l + 4]);
    return Core::join(Core::join(four[0], four[2]), Core::join(four[1], four[3]));
}

/// One pair's chunk in fp64, from fp32 rows: what stands in for a chunk whose squares fp32 cannot hold.
ADABET_INLINE double redo_in_double(const float* a, const float* b, std::size_t steps) {
    double sums[chain::lanes] = {};
    for (std::size_t step = 0; step < steps; ++step)
        for (std::size_t l = 0; l < chain::lanes; ++l) {
            const std::size_t k = step * chain::lanes + l;
            sums[l] =
                SumOfSquares::take(sums[l], rounded::subtract(static_cast<double>(a[k]), static_cast<double>(b[k])));
        }
    return fold<SumOfSquares>(sums);
}

/// Plain chains, for processors whose instructions say what chain.hpp says.
template <std::size_t W, std::size_t A, std::size_t B>
struct Direct {
    static constexpr std::size_t rows_a = A;
    static constexpr std::size_t rows_b = B;

    template <class Core, class T>
    ADABET_INLINE void run(const ChunkBlock<T>& block, std::size_t i, std::size_t j, T (*lanes)[chain::lanes]) {
        run_chains<Core, W, A, B>(block.a + i * block.ld, block.b + j * block.ld, block.ld, block.steps, lanes);
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

template <class Core, class Chains, class T>
ADABET_INLINE void sum_block(const ChunkBlock<T>& block) {
    constexpr std::size_t A = Chains::rows_a;
    constexpr std::size_t B = Chains::rows_b;
    alignas(64) T lanes[A * B][chain::lanes];
    double sums[A * B];
    Chains chains;
    Walk walk(block.ahead);
    const std::size_t tiles = (block.n_a / A + 1) * (block.n_b / B + 1);
    const std::size_t lines_a_tile = (block.diagonal ? 2 : 1) * walk.lines() / tiles + 1;
    for (std::size_t i = 0; i < block.n_a; i += A) {
        const std::size_t first_j = block.diagonal ? (i + 1) / B * B : 0;
        for (std::size_t j = first_j; j < block.n_b; j += B) {
            walk.ask_for(lines_a_tile);
            chains.template run<Core>(block, i, j, lanes);
            for (std::size_t pair = 0; pair < A * B; ++pair) sums[pair] = fold<Core>(lanes[pair]);
            for (std::size_t pair = 0; pair < A * B; ++pair) {
                const std::size_t row = i + pair / B;
                const std::size_t column = j + pair % B;
                if (row >= block.n_a || column >= block.n_b) continue;
                if constexpr (sizeof(T) == sizeof(float)) {
                    if (!chain::is_kept(sums[pair])) {
                        const bool tiny = ((block.marks_a[row] | block.marks_b[column]) & mark_tiny) != 0;
                        if (sums[pair] != 0.0 || tiny)
                            sums[pair] =
                                redo_in_double(block.a + row * block.ld, block.b + column * block.ld, block.steps);
                    }
                }
                double& sum = block.sums[row * block.ld_sums + column];
                sum = Core::join(sum, sums[pair]);
            }
        }
    }
}

/// d <= 64: one sum over k for each pair, W pairs (i, j .. j + W) in a register, A rows i at a time.
template <class Core, std::size_t W, std::size_t A>
ADABET_INLINE void sum_narrow(const NarrowBlock& block) {
    for (std::size_t i = 0; i < block.n_a; i += A) {
        for (std::size_t j = block.diagonal ? i / W * W : 0; j < block.n_b; j += W) {
            double sums[A][W];
            for (std::size_t r = 0; r < A; ++r)
                for (std::size_t l = 0; l < W; ++l) sums[r][l] = 0.0;
            for (std::size_t k = 0; k < block.d; ++k) {
                const double* a = block.a + k * block.ld + i;
                const double* b = block.b + k * block.ld + j;
                for (std::size_t r = 0; r < A; ++r)
                    for (std::size_t l = 0; l < W; ++l)
                        sums[r][l] = Core::take(sums[r][l], rounded::subtract(a[r], b[l]));
            }
            for (std::size_t r = 0; r < A; ++r)
                for (std::size_t l = 0; l < W; ++l) block.sums[(i + r) * block.ld_sums + j + l] = sums[r][l];
        }
    }
}

}  // namespace adabet::chunk_kernel
