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
        TARGET static std::size_t edges(const Real* row, Vertex b, Vertex first, std::size_t count,                    \
                                        LengthKey<Real> low, LengthKey<Real> high, RankedEdge<Real>* out) {            \
            return edges_of_row(row, b, first, count, low, high, out);                                                 \
        }                                                                                                              \
        TARGET static std::size_t minima(const Real* row, std::size_t n, Vertex a, std::size_t n_segments,             \
                                         Witness<Real>* out) {                                                         \
            return segment_minima(row, n, a, n_segments, out);                                                         \
        }                                                                                                              \
        TARGET static std::size_t survivors(const Real* row, const Witnesses<Real>& witnesses, std::size_t count,      \
                                            LengthKey<Real> longest, Vertex first, Vertex* out) {                      \
            return survivors_of_run(row, witnesses, count, longest, first, out);                                       \
        }                                                                                                              \
        TARGET static void bounds(const Real* row, std::size_t n, LengthKey<Real>* least, LengthKey<Real>* most) {     \
            column_bounds(row, n, least, most);                                                                        \
        }                                                                                                              \
        TARGET static bool both_below(const LengthKey<Real>* x, const LengthKey<Real>* y, std::size_t count,           \
                                      LengthKey<Real> limit) {                                                         \
            return any_both_below(x, y, count, limit);                                                                 \
        }                                                                                                              \
        TARGET static bool lune(const Real* row_a, const Real* row_b, const RankedEdge<Real>& edge, std::size_t begin, \
                                std::size_t end, std::size_t origin) {                                                 \
            return lune_has(row_a, row_b, edge, begin, end, origin);                                                   \
        }                                                                                                              \
        TARGET static bool lune_in_groups(const Real* row_a, const Real* row_b, const RankedEdge<Real>& edge,          \
                                          const LengthKey<Real>* least_a, const LengthKey<Real>* least_b,              \
                                          std::size_t groups, std::size_t group, std::size_t n) {                      \
            return lune_has_in_groups(row_a, row_b, edge, least_a, least_b, groups, group, n);                         \
        }                                                                                                              \
        TARGET static void classify(BitGraph& graph, LuneScratch& scratch, const RankedEdge<Real>* edges,              \
                                    std::size_t count, CriticalEdges& critical) {                                      \
            classify_edges(graph, scratch, edges, count, critical);                                                    \
        }                                                                                                              \
        TARGET static LengthKey<Real> take_few(const DistanceMatrix<Real>& matrix, FewPoints<Real>& points) {          \
            return take_few_points(matrix, points);                                                                    \
        }                                                                                                              \
        TARGET static std::size_t few_edges(const FewPoints<Real>& points, LengthKey<Real> longest,                    \
                                            RankedEdge<Real>* edges, bool& is_tied) {                                  \
            return edges_of_few_points(points, longest, edges, is_tied);                                               \
        }                                                                                                              \
        TARGET static void add(BitGraph::Word* into, const BitGraph::Word* words, std::size_t count) {                 \
            add_mod_2(into, words, count);                                                                             \
        }                                                                                                              \
        static constexpr RipsKernels<Real> table{maximum,   sum,      range,      edges, minima,                       \
                                                 survivors, bounds,   both_below, lune,  lune_in_groups,               \
                                                 classify,  take_few, few_edges,  add};                                \
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
