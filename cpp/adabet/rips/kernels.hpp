#pragma once

#include <cstddef>

#include "adabet/isa.hpp"
#include "adabet/rips/lune_search.hpp"
#include "adabet/rips/row_kernels.hpp"

namespace adabet {

/// The inner loops of this floor, compiled once for each instruction set; see row_kernels.hpp and lune_search.hpp.
template <class Real>
struct RipsKernels {
    LengthKey<Real> (*row_maximum)(const Real* row, std::size_t n);
    double (*row_sum)(const Real* row, std::size_t n);
    void (*row_range)(const Real* row, std::size_t end, LengthKey<Real> low, LengthKey<Real> high,
                      LengthKey<Real>& least, LengthKey<Real>& most);
    std::size_t (*edges_of_row)(const Real* row, Vertex b, LengthKey<Real> low, LengthKey<Real> high,
                                RankedEdge<Real>* out);
    std::size_t (*segment_minima)(const Real* row, std::size_t n, Vertex a, std::size_t n_segments, Witness<Real>* out);
    std::size_t (*survivors_of_row)(const DistanceMatrix<Real>& distances, Vertex a, const Witness<Real>* witnesses,
                                    std::size_t n_witnesses, LengthKey<Real> longest, Vertex* survivors);
    bool (*lune_is_empty)(const DistanceMatrix<Real>& distances, Vertex a, Vertex b);
    void (*classify_edges)(BitGraph& graph, LuneScratch& scratch, const RankedEdge<Real>* edges, std::size_t count,
                           CriticalEdges& critical);
    void (*add_words)(BitGraph::Word* into, const BitGraph::Word* words, std::size_t count);  ///< sum mod 2
};

template <class Real>
[[nodiscard]] const RipsKernels<Real>& rips_kernels(Isa isa);

template <class Real>
[[nodiscard]] const RipsKernels<Real>& rips_kernels() {
    return rips_kernels<Real>(active_isa());
}

}  // namespace adabet
