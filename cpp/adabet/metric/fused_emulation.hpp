#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "adabet/host_device.hpp"
#include "adabet/isa.hpp"
#include "adabet/metric/chain.hpp"
#include "adabet/metric/kernels.hpp"

#if ADABET_X86_64
#include <emmintrin.h>
#endif

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

#if ADABET_X86_64
/// add_square of two lanes, sums held as fp64: in SSE2's own words, since from plain loops GCC makes code three times slower.
ADABET_INLINE __m128d add_squares(__m128d sum, __m128d x) {
    const __m128d product = _mm_mul_pd(x, x);
    const __m128d rounded = _mm_add_pd(product, sum);
    const __m128d part = _mm_sub_pd(rounded, product);
    const __m128d lost = _mm_add_pd(_mm_sub_pd(product, _mm_sub_pd(rounded, part)), _mm_sub_pd(sum, part));
    const __m128i bits = _mm_castpd_si128(rounded);
    const __m128i above = _mm_castpd_si128(_mm_cmplt_pd(_mm_setzero_pd(), lost));
    const __m128i below = _mm_castpd_si128(_mm_cmplt_pd(lost, _mm_setzero_pd()));
    const __m128i one = _mm_set1_epi64x(1);
    const __m128i even = _mm_sub_epi64(_mm_and_si128(bits, one), one);
    const __m128i odd = _mm_add_epi64(bits, _mm_and_si128(_mm_sub_epi64(below, above), even));
    return _mm_cvtps_pd(_mm_cvtpd_ps(_mm_castsi128_pd(odd)));
}

inline constexpr std::size_t quick_lanes = 4;  ///< chains of a pair that are run together: four registers for two pairs
inline constexpr std::size_t exact_lanes = 16;  ///< as many as keep a core busy

/// The first `count` chains of one pair, whatever its values.
template <std::size_t count>
ADABET_INLINE void run_exactly(const float* a, const float* b, std::size_t steps, float* lanes) {
    __m128d sums[count / 2];
    for (std::size_t l = 0; l < count / 2; ++l) sums[l] = _mm_setzero_pd();
    for (std::size_t step = 0; step < steps; ++step)
        for (std::size_t l = 0; l < count; l += 4) {
            const std::size_t k = step * chain::lanes + l;
            const __m128 x = _mm_sub_ps(_mm_load_ps(a + k), _mm_load_ps(b + k));
            sums[l / 2] = add_squares(sums[l / 2], _mm_cvtps_pd(x));
            sums[l / 2 + 1] = add_squares(sums[l / 2 + 1], _mm_cvtps_pd(_mm_movehl_ps(x, x)));
        }
    for (std::size_t l = 0; l < count; l += 4)
        _mm_store_ps(lanes + l, _mm_movelh_ps(_mm_cvtpd_ps(sums[l / 2]), _mm_cvtpd_ps(sums[l / 2 + 1])));
}

/// The first quick_lanes chains of one row against B rows, where sums stay among fp32's normal numbers (no row is marked
/// tiny or huge). The accumulators are fp32 values held as fp64, cut to 24 bits by integer arithmetic. Rounded twice is
/// rounded once except where the fp64 sum falls halfway between two floats; false says that one did, and the caller runs
/// these chains exactly.
template <std::size_t B>
ADABET_INLINE bool run_unless_halfway(const float* a, const float* b, std::size_t ld, std::size_t steps,
                                      float (*lanes)[chain::lanes], std::size_t first) {
    const __m128i half = _mm_set1_epi64x(std::int64_t{1} << 28);
    const __m128i upper = _mm_set1_epi64x(~((std::int64_t{1} << 29) - 1));
    const __m128 beyond = _mm_castsi128_ps(_mm_set1_epi32((1 << 29) - 1));  // the 29 bits that fp32 has no room for
    __m128 least = beyond;  // read as floats those bits are in the same order, and SSE2 has a minimum of nothing else
    __m128d low[B];         // lanes 0 and 1, lanes 2 and 3
    __m128d high[B];
    for (std::size_t j = 0; j < B; ++j) low[j] = high[j] = _mm_setzero_pd();
    for (std::size_t step = 0; step < steps; ++step) {
        const std::size_t k = step * chain::lanes;
        const __m128 row_a = _mm_load_ps(a + k);
        for (std::size_t j = 0; j < B; ++j) {
            const __m128 x = _mm_sub_ps(row_a, _mm_load_ps(b + j * ld + k));
            const __m128d x_low = _mm_cvtps_pd(x);
            const __m128d x_high = _mm_cvtps_pd(_mm_movehl_ps(x, x));
            const __m128d sum_low = _mm_add_pd(_mm_mul_pd(x_low, x_low), low[j]);
            const __m128d sum_high = _mm_add_pd(_mm_mul_pd(x_high, x_high), high[j]);
            const __m128i up_low = _mm_add_epi64(_mm_castpd_si128(sum_low), half);
            const __m128i up_high = _mm_add_epi64(_mm_castpd_si128(sum_high), half);
            const __m128 words = _mm_shuffle_ps(_mm_castsi128_ps(up_low), _mm_castsi128_ps(up_high), 0x88);
            least = _mm_min_ps(least, _mm_and_ps(words, beyond));
            low[j] = _mm_castsi128_pd(_mm_and_si128(up_low, upper));
            high[j] = _mm_castsi128_pd(_mm_and_si128(up_high, upper));
        }
    }
    for (std::size_t j = 0; j < B; ++j)
        _mm_store_ps(lanes[j] + first, _mm_movelh_ps(_mm_cvtpd_ps(low[j]), _mm_cvtpd_ps(high[j])));
    return _mm_movemask_ps(_mm_cmpeq_ps(least, _mm_setzero_ps())) == 0;
}
#else
inline constexpr std::size_t quick_lanes = chain::lanes;
inline constexpr std::size_t exact_lanes = chain::lanes;

/// The first `count` chains of one pair, whatever its values.
template <std::size_t count>
ADABET_INLINE void run_exactly(const float* a, const float* b, std::size_t steps, float* lanes) {
    for (std::size_t l = 0; l < count; ++l) lanes[l] = 0.0F;
    for (std::size_t step = 0; step < steps; ++step)
        for (std::size_t l = 0; l < count; ++l) {
            const std::size_t k = step * chain::lanes + l;
            lanes[l] = add_square(lanes[l], rounded::subtract(a[k], b[k]));
        }
}

template <std::size_t B>
ADABET_INLINE bool run_unless_halfway(const float*, const float*, std::size_t, std::size_t, float (*)[chain::lanes],
                                      std::size_t) {
    return false;
}
#endif

/// One row against B rows. A few sums fall halfway in any data (squares of differences that cancelled); where they do all
/// the time (coordinates with few bits, such as float16), the quick chains are not tried again in this block.
template <std::size_t B>
class Emulated {
public:
    static constexpr std::size_t rows_a = 1;
    static constexpr std::size_t rows_b = B;
    static constexpr std::size_t passes = 1;
    static constexpr std::size_t kept = chain::lanes;
    static constexpr std::size_t left = chain::lanes;
    static constexpr std::size_t steps_a_line = 1;
    static constexpr bool triangles = false;
    static constexpr std::size_t at_a_time = 4;
    static constexpr bool copies_ahead = false;

    template <class Core, class Shape>
    ADABET_INLINE void run(const ChunkBlock<float>& block, std::size_t i, std::size_t j, std::size_t, auto soon,
                           float (*lanes)[chain::lanes]) {
        constexpr std::size_t rows = Shape::rows_b;
        for (std::size_t step = 0; step < block.steps; ++step) soon.step();
        const float* a = block.a + i * block.ld;
        const float* b = block.b + j * block.ld;
        unsigned marks = block.marks_a[i];
        for (std::size_t r = 0; r < rows; ++r) marks |= block.marks_b[j + r];
        const bool plain = marks == mark_none;
        for (std::size_t first = 0; first < chain::lanes; first += exact_lanes) {
            if (plain && failed_ <= most_failures + passed_ / 2) {
                for (std::size_t l = first; l < first + exact_lanes; l += quick_lanes) {
                    const bool quick = run_unless_halfway<rows>(a + l, b + l, block.ld, block.steps, lanes, l);
                    if (!quick) run_all_exactly<rows, quick_lanes>(a + l, b + l, block, lanes, l);
                    ++(quick ? passed_ : failed_);
                }
            } else {
                run_all_exactly<rows, exact_lanes>(a + first, b + first, block, lanes, first);
            }
        }
    }

private:
    template <std::size_t rows, std::size_t count>
    ADABET_INLINE static void run_all_exactly(const float* a, const float* b, const ChunkBlock<float>& block,
                                              float (*lanes)[chain::lanes], std::size_t first) {
        for (std::size_t r = 0; r < rows; ++r) run_exactly<count>(a, b + r * block.ld, block.steps, lanes[r] + first);
    }

    static constexpr std::size_t most_failures = 4;
    std::size_t passed_ = 0;
    std::size_t failed_ = 0;
};

}  // namespace adabet::fused_emulation
