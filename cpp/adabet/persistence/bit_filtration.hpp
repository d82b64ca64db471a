#pragma once

#include "adabet/persistence/filtration.hpp"
#include "adabet/rips/bit_graph.hpp"

namespace adabet {

/// A filtration kept as a distance matrix and the bit rows of the edges so far.
template <class Real>
class BitFiltration final : public Filtration<Real> {
public:
    BitFiltration(const DistanceMatrix<Real>& distances, const BitGraph& graph)
        : distances_(distances), graph_(graph) {}

    [[nodiscard]] RankedEdge<Real> edge(Vertex x, Vertex y) const override { return ranked_edge(distances_, x, y); }
    /// Of an edge that is in the graph.
    [[nodiscard]] Apex<Real> apex(const RankedEdge<Real>& edge) const override;

private:
    const DistanceMatrix<Real>& distances_;
    const BitGraph& graph_;
};

}  // namespace adabet
