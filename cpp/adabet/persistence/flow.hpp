#pragma once

#include <cstddef>

#include "adabet/persistence/apex_table.hpp"
#include "adabet/persistence/births.hpp"
#include "adabet/rips/bit_graph.hpp"

namespace adabet {

/// Writes a cycle of edges as a sum of births. An edge of the relative neighbourhood graph stays (those of the forest count
/// as nothing); any other {x, y} is replaced by {x, z} and {z, y} for a z in its lune: both precede it and the three bound
/// a triangle. Always the youngest edge first, equal edges cancelling: plain recursion would be exponential.
template <class Real>
class Flow {
public:
    Flow(const DistanceMatrix<Real>& distances, const BitGraph& graph, const Births<Real>& births,
         MemoryBudget& budget);

    /// Adds an edge to the chain that is to flow; it must be in the graph.
    void add(Vertex x, Vertex y);

    /// Flows the chain down; calls keep(birth) for each birth in it, youngest first.
    template <class Keep>
    void run(Keep&& keep) {
        RankedEdge<Real> edge;
        while (take_youngest(edge)) {
            const BirthIndex birth = births_.find(edge.a, edge.b);
            if (birth == Births<Real>::kNoNeighbour) {
                const Vertex z = apex(edge);
                add(edge.a, z);
                add(edge.b, z);
            } else if (birth != Births<Real>::kTree) {
                keep(birth);
            }
        }
    }

private:
    /// Pops the youngest edge that is there an odd number of times; false when the chain is empty.
    bool take_youngest(RankedEdge<Real>& edge);
    /// A vertex of the edge's lune: the same whenever it is asked for.
    [[nodiscard]] Vertex apex(const RankedEdge<Real>& edge);
    [[nodiscard]] Vertex find_apex(const RankedEdge<Real>& edge) const;

    const DistanceMatrix<Real>& distances_;
    const BitGraph& graph_;
    const Births<Real>& births_;
    ApexTable known_;
    Buffer<RankedEdge<Real>> heap_;
};

}  // namespace adabet
