#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "adabet/isa.hpp"
#include "adabet/metric/chain.hpp"
#include "adabet/metric/chunk_kernel.hpp"

/// fma(x, x, sum) in fp32, bit for bit, by fp64 arithmetic: for x86-64 without FMA, where the C library's fmaf is hundreds
/// of times slower. x * x is exact in fp64 (48 bits); what remains is to round x * x + sum once and not twice.
namespace adabet::fused_emulation {

/// Any operands of a chain of squares (sum >= 0). The fp64 sum is rounded to odd, which keeps the trace of what it lost,
/// so that the second rounding, to fp32, is right (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
ADABET_INLINE float add_square(float sum, float x) {
    const double product = static_cast<double>(x) * static_cast<double>(x);
    const double addend = sum;
    const double rounded = product + addend;
    const double part = rounded - product;
    const double lost =
        (product - (rounded - part)) + (addend - part);  // exact (Knuth); NaN where `rounded` is infinite
    const auto bits = std::bit_cast<std::int64_t>(rounded);
    const std::int64_t step = static_cast<std::int64_t>(lost > 0.0) - static_cast<std::int64_t>(lost < 0.0);
    const std::int64_t even = (bits & 1) - 1;  // all ones where the last bit is 0
    return static_cast<float>(std::bit_cast<double>(bits + (step & even)));
}

/// The chains of one pair, whatever its values.
ADABET_INLINE void run_exactly(const float* a, const float* b, std::size_t steps, float* lanes) {
    for (std::size_t l = 0; l < chain::lanes; ++l) lanes[l] = 0.0F;
    for (std::size_t step = 0; step < steps; ++step)
        for (std::size_t l = 0; l < chain::lanes; ++l) {
            const std::size_t k = step * chain::lanes + l;
            lanes[l] = add_square(lanes[l], chain::subtract(a[k], b[k]));
        }
}

/// Chains of A x B pairs whose sums stay among fp32's normal numbers (no row is marked tiny or huge). The accumulators are
/// fp32 values held as fp64, cut to 24 bits by integer addition. Twice rounded is once rounded except where the fp64 sum
/// falls halfway between two floats; false says that one did, and the caller runs the pairs exactly.
template <std::size_t W, std::size_t A, std::size_t B>
ADABET_INLINE bool run_unless_halfway(const float* a, const float* b, std::size_t ld, std::size_t steps,
                                      float (*lanes)[chain::lanes]) {
    constexpr std::uint64_t half = std::uint64_t{1} << 28;
    constexpr std::uint64_t below = (std::uint64_t{1} << 29) - 1;
    std::uint32_t any = 0;
    for (std::size_t first = 0; first < chain::lanes; first += W) {
        double sums[A][B][W];
        std::uint32_t halfway[W];
        for (std::size_t l = 0; l < W; ++l) halfway[l] = 0;
        for (std::size_t i = 0; i < A; ++i)
            for (std::size_t j = 0; j < B; ++j)
                for (std::size_t l = 0; l < W; ++l) sums[i][j][l] = 0.0;
        for (std::size_t step = 0; step < steps; ++step) {
            const float* at_a = a + step * chain::lanes + first;
            const float* at_b = b + step * chain::lanes + first;
            for (std::size_t i = 0; i < A; ++i)
                for (std::size_t j = 0; j < B; ++j)
                    for (std::size_t l = 0; l < W; ++l) {
                        const double x = chain::subtract(at_a[i * ld + l], at_b[j * ld + l]);
                        const std::uint64_t bits = std::bit_cast<std::uint64_t>(x * x + sums[i][j][l]) + half;
                        halfway[l] |= (static_cast<std::uint32_t>(bits) << 3) == 0 ? ~0U : 0U;
                        sums[i][j][l] = std::bit_cast<double>(bits & ~below);
                    }
        }
        for (std::size_t l = 0; l < W; ++l) any |= halfway[l];
        for (std::size_t i = 0; i < A; ++i)
            for (std::size_t j = 0; j < B; ++j)
                for (std::size_t l = 0; l < W; ++l) lanes[i * B + j][first + l] = static_cast<float>(sums[i][j][l]);
    }
    return any == 0;
}

template <std::size_t W, std::size_t A, std::size_t B>
struct Emulated {
    static constexpr std::size_t rows_a = A;
    static constexpr std::size_t rows_b = B;

    template <class Core>
    static ADABET_INLINE void run(const ChunkBlock<float>& block, std::size_t i, std::size_t j,
                                  float (*lanes)[chain::lanes]) {
        const float* a = block.a + i * block.ld;
        const float* b = block.b + j * block.ld;
        unsigned marks = 0;
        for (std::size_t r = 0; r < A; ++r) marks |= i + r < block.n_a ? block.marks_a[i + r] : 0U;
        for (std::size_t r = 0; r < B; ++r) marks |= j + r < block.n_b ? block.marks_b[j + r] : 0U;
        if (marks == mark_none && run_unless_halfway<W, A, B>(a, b, block.ld, block.steps, lanes)) return;
        for (std::size_t pair = 0; pair < A * B; ++pair)
            run_exactly(a + pair / B * block.ld, b + pair % B * block.ld, block.steps, lanes[pair]);
    }
};

}  // namespace adabet::fused_emulation
