#include "adabet/rips/kernels.hpp"

namespace adabet {

namespace {

ADABET_INLINE void add_mod_2(BitGraph::Word* into, const BitGraph::Word* words, std::size_t count) {
    for (std::size_t w = 0; w < count; ++w) into[w] ^= words[w];
}

// A target attribute cannot be a template argument, so the wrappers of each instruction set are written by this macro.
#define ADABET_RIPS_KERNELS(NAME, TARGET)                                                                              \
    template <class Real>                                                                                              \
    struct NAME {                                                                                                      \
        TARGET static LengthKey<Real> maximum(const Real* row, std::size_t n) { return row_maximum(row, n); }          \
        TARGET static double sum(const Real* row, std::size_t n) { return row_sum(row, n); }                           \
        TARGET static void range(const Real* row, std::size_t end, LengthKey<Real> low, LengthKey<Real> high,          \
                                 LengthKey<Real>& least, LengthKey<Real>& most) {                                      \
            row_range(row, end, low, high, least, most);                                                               \
        }                                                                                                              \
        TARGET static std::size_t edges(const Real* row, Vertex b, LengthKey<Real> low, LengthKey<Real> high,          \
                                        RankedEdge<Real>* out) {                                                       \
            return edges_of_row(row, b, low, high, out);                                                               \
        }                                                                                                              \
        TARGET static std::size_t minima(const Real* row, std::size_t n, Vertex a, std::size_t n_segments,             \
                                         Witness<Real>* out) {                                                         \
            return segment_minima(row, n, a, n_segments, out);                                                         \
        }                                                                                                              \
        TARGET static std::size_t survivors(const DistanceMatrix<Real>& distances, Vertex a,                           \
                                            const Witness<Real>* witnesses, std::size_t n_witnesses,                   \
                                            LengthKey<Real> longest, Vertex* out) {                                    \
            return survivors_of_row(distances, a, witnesses, n_witnesses, longest, out);                               \
        }                                                                                                              \
        TARGET static bool empty(const DistanceMatrix<Real>& distances, Vertex a, Vertex b) {                          \
            return lune_is_empty(distances, a, b);                                                                     \
        }                                                                                                              \
        TARGET static void classify(BitGraph& graph, LuneScratch& scratch, const RankedEdge<Real>* edges,              \
                                    std::size_t count, CriticalEdges& critical) {                                      \
            classify_edges(graph, scratch, edges, count, critical);                                                    \
        }                                                                                                              \
        TARGET static void add(BitGraph::Word* into, const BitGraph::Word* words, std::size_t count) {                 \
            add_mod_2(into, words, count);                                                                             \
        }                                                                                                              \
        static constexpr RipsKernels<Real> table{maximum, sum, range, edges, minima, survivors, empty, classify, add}; \
    };

ADABET_RIPS_KERNELS(BaselineKernels, )
#if ADABET_X86_64
ADABET_RIPS_KERNELS(Avx2Kernels, ADABET_TARGET_AVX2)
ADABET_RIPS_KERNELS(Avx512Kernels, ADABET_TARGET_AVX512)
#endif
#undef ADABET_RIPS_KERNELS

}  // namespace

template <class Real>
const RipsKernels<Real>& rips_kernels(Isa isa) {
    switch (isa) {
#if ADABET_X86_64
        case Isa::avx512:
            return Avx512Kernels<Real>::table;
        case Isa::avx2:
            return Avx2Kernels<Real>::table;
#else
        case Isa::avx512:
        case Isa::avx2:
#endif
        case Isa::baseline:
            break;
    }
    return BaselineKernels<Real>::table;
}

template const RipsKernels<float>& rips_kernels<float>(Isa isa);
template const RipsKernels<double>& rips_kernels<double>(Isa isa);

}  // namespace adabet
