#pragma once

#include "adabet/persistence/filtration.hpp"
#include "adabet/rips/bit_graph.hpp"
#include "adabet/rips/distances.hpp"

namespace adabet {

/// A filtration kept as distances and the bit rows of the edges so far. For one thread.
template <class Real>
class BitFiltration final : public Filtration<Real> {
public:
    BitFiltration(const Distances<Real>& distances, const BitGraph& graph, MemoryBudget& budget)
        : distances_(distances, 0, budget), graph_(graph) {}

    [[nodiscard]] RankedEdge<Real> edge(Vertex x, Vertex y) const override { return distances_.edge(x, y); }
    /// Of an edge that is in the graph.
    [[nodiscard]] Apex<Real> apex(const RankedEdge<Real>& edge) const override;

private:
    DistanceReader<Real> distances_;
    const BitGraph& graph_;
};

}  // namespace adabet
