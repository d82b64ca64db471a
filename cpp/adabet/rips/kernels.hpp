#pragma once

#include <cstddef>

#include "adabet/isa.hpp"
#include "adabet/rips/few_points.hpp"
#include "adabet/rips/lune_search.hpp"
#include "adabet/rips/row_kernels.hpp"

namespace adabet {

/// The inner loops of this floor, compiled once for each instruction set; see row_kernels.hpp, few_points.hpp and lune_search.hpp.
template <class Real>
struct RipsKernels {
    LengthKey<Real> (*row_maximum)(const Real* row, std::size_t n);
    double (*row_sum)(const Real* row, std::size_t n);
    void (*row_range)(const Real* row, std::size_t end, LengthKey<Real> low, LengthKey<Real> high,
                      LengthKey<Real>& least, LengthKey<Real>& most);
    std::size_t (*edges_of_row)(const Real* row, Vertex b, Vertex first, std::size_t count, LengthKey<Real> low,
                                LengthKey<Real> high, RankedEdge<Real>* out);
    std::size_t (*segment_minima)(const Real* row, std::size_t n, Vertex a, std::size_t n_segments, Witness<Real>* out);
    std::size_t (*survivors_of_run)(const Real* row, const Witnesses<Real>& witnesses, std::size_t count,
                                    LengthKey<Real> longest, Vertex first, Vertex* survivors);
    void (*column_bounds)(const Real* row, std::size_t n, LengthKey<Real>* least, LengthKey<Real>* most);
    bool (*any_both_below)(const LengthKey<Real>* x, const LengthKey<Real>* y, std::size_t count,
                           LengthKey<Real> limit);
    bool (*lune_has)(const Real* row_a, const Real* row_b, const RankedEdge<Real>& edge, std::size_t begin,
                     std::size_t end, std::size_t origin);
    bool (*lune_has_in_groups)(const Real* row_a, const Real* row_b, const RankedEdge<Real>& edge,
                               const LengthKey<Real>* least_a, const LengthKey<Real>* least_b, std::size_t groups,
                               std::size_t group, std::size_t n);
    void (*classify_edges)(BitGraph& graph, LuneScratch& scratch, const RankedEdge<Real>* edges, std::size_t count,
                           CriticalEdges& critical);
    LengthKey<Real> (*take_few_points)(const DistanceMatrix<Real>& matrix, FewPoints<Real>& points);
    std::size_t (*edges_of_few_points)(const FewPoints<Real>& points, LengthKey<Real> longest, RankedEdge<Real>* edges,
                                       bool& is_tied);
    void (*add_words)(BitGraph::Word* into, const BitGraph::Word* words, std::size_t count);  ///< sum mod 2
};

template <class Real>
[[nodiscard]] const RipsKernels<Real>& rips_kernels(Isa isa);

template <class Real>
[[nodiscard]] const RipsKernels<Real>& rips_kernels() {
    return rips_kernels<Real>(active_isa());
}

}  // namespace adabet
