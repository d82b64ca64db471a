#include "adabet/metric/kernels.hpp"

#include "adabet/metric/chunk_kernel.hpp"
#include "adabet/metric/fused_emulation.hpp"
#include "adabet/metric/narrow_tile_kernel.hpp"
#include "adabet/metric/pack_kernel.hpp"

namespace adabet {

namespace {

using chunk_kernel::Direct;

// Tile shapes: as many accumulators as the registers hold beside the rows themselves.
#if defined(__FP_FAST_FMAF)
using BaselineFloat = Direct<4, 4, 4>;
using BaselinePair = Direct<4, 1, 1>;
#else
using BaselineFloat = fused_emulation::Emulated<2>;
using BaselinePair = fused_emulation::Emulated<1>;
#endif

/// One instruction set's functions; the three differ in nothing but the attribute and the shapes.
#define ADABET_DEFINE_KERNELS(Set, TARGET, FloatTile, FloatPair, DoubleTile, width, rows)                    \
    struct Set {                                                                                             \
        static constexpr bool copies_ahead = FloatTile::copies_ahead;                                        \
        template <class Stored, class T>                                                                     \
        TARGET static std::uint8_t pack(const void* from, std::ptrdiff_t stride, std::size_t count, T* to) { \
            return pack_kernel::pack<Stored>(from, stride, count, to);                                       \
        }                                                                                                    \
        TARGET static void chunk_of_squares_float(const ChunkBlock<float>& block) {                          \
            chunk_kernel::sum_block<SumOfSquares, FloatTile>(block);                                         \
        }                                                                                                    \
        TARGET static void pair_of_squares_float(const ChunkBlock<float>& block) {                           \
            chunk_kernel::sum_block<SumOfSquares, FloatPair>(block);                                         \
        }                                                                                                    \
        template <class M, class Real>                                                                       \
        TARGET static bool tile(const NarrowTile<Real>& block) {                                             \
            return narrow_tile_kernel::distances<M, rows>(block);                                            \
        }                                                                                                    \
        template <class Core>                                                                                \
        TARGET static void pair(const ChunkBlock<double>& block) {                                           \
            chunk_kernel::sum_block<Core, Direct<width, 1, 1>>(block);                                       \
        }                                                                                                    \
        template <class Core>                                                                                \
        TARGET static void chunk(const ChunkBlock<double>& block) {                                          \
            chunk_kernel::sum_block<Core, DoubleTile>(block);                                                \
        }                                                                                                    \
    };

using Avx512Float = Direct<16, 4, 4>;
using Avx512Pair = Direct<16, 1, 1>;
using Avx512Double = Direct<8, 4, 4>;
using Avx2Float = Direct<8, 4, 2>;
using Avx2Pair = Direct<8, 1, 1>;
using Avx2Double = Direct<4, 4, 2>;
using BaselineDouble = Direct<2, 4, 2>;

#define ADABET_NO_TARGET
ADABET_DEFINE_KERNELS(Baseline, ADABET_NO_TARGET, BaselineFloat, BaselinePair, BaselineDouble, 4, 4)
#if ADABET_X86_64
ADABET_DEFINE_KERNELS(Avx2, ADABET_TARGET_AVX2, Avx2Float, Avx2Pair, Avx2Double, 8, 4)
ADABET_DEFINE_KERNELS(Avx512, ADABET_TARGET_AVX512, Avx512Float, Avx512Pair, Avx512Double, 8, 4)
#endif
#undef ADABET_NO_TARGET
#undef ADABET_DEFINE_KERNELS

template <class Set, class Core>
constexpr CoreKernels core_kernels() {
    return {.chunk = Set::template chunk<Core>, .pair = Set::template pair<Core>};
}

template <class Set, class Real>
constexpr NarrowTileKernels<Real> tile_kernels() {
    return {.euclidean = Set::template tile<Euclidean, Real>,
            .squared = Set::template tile<SquaredEuclidean, Real>,
            .cityblock = Set::template tile<Cityblock, Real>,
            .chebyshev = Set::template tile<Chebyshev, Real>,
            .cosine = Set::template tile<Cosine, Real>};
}

/// In the order of ScalarType.
template <class Set>
constexpr Kernels table() {
    return {
        .pack_float = {Set::template pack<Half, float>, Set::template pack<BrainFloat, float>,
                       Set::template pack<float, float>, nullptr, Set::template pack<std::int8_t, float>,
                       Set::template pack<std::int16_t, float>, nullptr, nullptr,
                       Set::template pack<std::uint8_t, float>, Set::template pack<std::uint16_t, float>, nullptr,
                       nullptr, Set::template pack<Boolean, float>},
        .pack_double = {Set::template pack<Half, double>, Set::template pack<BrainFloat, double>,
                        Set::template pack<float, double>, Set::template pack<double, double>,
                        Set::template pack<std::int8_t, double>, Set::template pack<std::int16_t, double>,
                        Set::template pack<std::int32_t, double>, Set::template pack<std::int64_t, double>,
                        Set::template pack<std::uint8_t, double>, Set::template pack<std::uint16_t, double>,
                        Set::template pack<std::uint32_t, double>, Set::template pack<std::uint64_t, double>,
                        Set::template pack<Boolean, double>},
        .chunk_of_squares_float = Set::chunk_of_squares_float,
        .pair_of_squares_float = Set::pair_of_squares_float,
        .tile_float = tile_kernels<Set, float>(),
        .tile_double = tile_kernels<Set, double>(),
        .squares = core_kernels<Set, SumOfSquares>(),
        .absolutes = core_kernels<Set, SumOfAbsolutes>(),
        .largest = core_kernels<Set, LargestAbsolute>(),
        .copies_ahead = Set::copies_ahead,
    };
}

constexpr Kernels baseline_table = table<Baseline>();
#if ADABET_X86_64
constexpr Kernels avx2_table = table<Avx2>();
constexpr Kernels avx512_table = table<Avx512>();
#endif

}  // namespace

const Kernels& kernels(Isa isa) {
#if ADABET_X86_64
    if (isa == Isa::avx512) return avx512_table;
    if (isa == Isa::avx2) return avx2_table;
#endif
    static_cast<void>(isa);
    return baseline_table;
}

}  // namespace adabet
