#pragma once

#include <span>

#include "adabet/persistence/prepared_filtration.hpp"
#include "adabet/rips/bit_graph.hpp"
#include "adabet/rips/critical_edges.hpp"
#include "adabet/rips/distances.hpp"

namespace adabet {

/// A filtration kept as the bit rows of the edges so far, its distances far away: those that flows are going to ask for are
/// fetched together, before.
template <class Real>
class FarFiltration {
public:
    FarFiltration(const Distances<Real>& distances, const BitGraph& graph, const Births<Real>& births,
                  const Execution& execution);
    FarFiltration(const FarFiltration&) = delete;
    FarFiltration& operator=(const FarFiltration&) = delete;

    /// Makes ready for the cycles of these critical edges, which the graph holds.
    void prepare(std::span<const RankedEdge<Real>> edges, const CriticalEdges& critical);
    /// For any number of threads, until more is made ready.
    [[nodiscard]] const Filtration<Real>& filtration() const { return filtration_; }

private:
    struct Search;

    [[nodiscard]] Buffer<Apex<Real>> apexes(std::span<const RankedEdge<Real>> edges);
    void apexes_of_part(std::span<const RankedEdge<Real>> edges, Apex<Real>* out);
    void propose(const RankedEdge<Real>& edge, Search& search);
    static void offer(const RankedEdge<Real>& edge, Vertex z, LengthKey<Real> to_a, LengthKey<Real> to_b,
                      Apex<Real>& best);

    DistanceReader<Real> distances_;
    const BitGraph& graph_;
    const Execution& execution_;
    Buffer<Edge> asked_;
    Buffer<Real> lengths_;
    PreparedFiltration<Real> filtration_;
};

}  // namespace adabet
