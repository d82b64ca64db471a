#pragma once

#include <cstddef>

#include "adabet/persistence/births.hpp"
#include "adabet/persistence/filtration.hpp"
#include "adabet/persistence/flow_table.hpp"

namespace adabet {

/// Writes a cycle of edges as a sum of births. An edge of the relative neighbourhood graph stays (those of the forest count
/// as nothing); any other {x, y} is replaced by {x, z} and {z, y} for a z in its lune: both precede it and the three bound
/// a triangle. Always the youngest edge first, equal edges cancelling: plain recursion would be exponential.
template <class Real>
class Flow {
public:
    Flow(const Filtration<Real>& filtration, const Births<Real>& births, MemoryBudget& budget);

    /// Adds an edge to the chain that is to flow.
    void add(Vertex x, Vertex y) { push(filtration_.edge(x, y)); }

    /// Flows the chain down; calls keep(birth) for each birth in it, youngest first.
    template <class Keep>
    void run(Keep&& keep) {
        RankedEdge<Real> edge;
        while (take_youngest(edge)) {
            const FlowStep<Real>& next = step(edge);
            if (next.apex.vertex >= 0) {
                push(with_apex(next.apex.to_a, edge.a, next.apex.vertex));
                push(with_apex(next.apex.to_b, edge.b, next.apex.vertex));
            } else if (next.birth != Births<Real>::kTree) {
                keep(next.birth);
            }
        }
    }

private:
    static RankedEdge<Real> with_apex(LengthKey<Real> key, Vertex end, Vertex apex) {
        return end < apex ? RankedEdge<Real>{key, apex, end} : RankedEdge<Real>{key, end, apex};
    }

    void push(const RankedEdge<Real>& edge);
    /// Pops the youngest edge that is there an odd number of times; false when the chain is empty.
    bool take_youngest(RankedEdge<Real>& edge);
    const FlowStep<Real>& step(const RankedEdge<Real>& edge);

    const Filtration<Real>& filtration_;
    const Births<Real>& births_;
    FlowTable<Real> steps_;
    Buffer<RankedEdge<Real>> heap_;
};

}  // namespace adabet
