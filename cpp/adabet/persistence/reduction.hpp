#pragma once

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "adabet/persistence/barcode.hpp"
#include "adabet/persistence/columns.hpp"
#include "adabet/persistence/flow.hpp"
#include "adabet/rips/critical_edges.hpp"

namespace adabet {

/// A birth and what ends it.
template <class Real>
struct Bar {
    RankedEdge<Real> birth;
    Real death;
    Edge death_edge;  ///< {-1, -1} where the bar is essential
};

/// Kills classes edge by edge until none is left: flows the boundaries of the 2-cells that critical edges bring, and
/// reduces them. Edges come in the order of the filtration.
template <class Real>
class Reduction {
public:
    Reduction(const Filtration<Real>& filtration, const Births<Real>& births, Stats& stats, const Execution& execution);

    [[nodiscard]] std::size_t alive() const { return births_.size() - columns_.deaths(); }
    [[nodiscard]] bool all_dead() const { return alive() == 0; }

    /// `representatives` holds one vertex for each component of the edge's lune, at least two. Adds one 2-cell for each
    /// component but the first: its boundary is the cycle a - v0 - b - vi - a.
    void kill(const RankedEdge<Real>& edge, std::span<const Vertex> representatives);

    /// The same for the critical ones of a stretch of edges, until all classes are dead.
    void kill_all(std::span<const RankedEdge<Real>> edges, const CriticalEdges& critical);

    /// One more thread may flow, through a filtration of its own.
    void add_helper(const Filtration<Real>& filtration);

    /// Ends the classes that are left.
    void end_all(Real death, Edge death_edge);

    /// The bars with death > birth, in no order.
    [[nodiscard]] Buffer<Bar<Real>> take_bars() { return std::move(bars_); }

private:
    static constexpr std::size_t kCellsPerCheck = 64;

    /// Flows the boundary of one 2-cell; calls keep(birth) for each birth in it.
    template <class Keep>
    static void flow_boundary(Flow<Real>& flow, const RankedEdge<Real>& edge, Vertex v0, Vertex vi, Keep&& keep);
    void kill_on_threads(std::span<const RankedEdge<Real>> edges, const CriticalEdges& critical);
    /// Ends the column in the making: what it kills dies at the edge.
    void end_column(const RankedEdge<Real>& edge);

    const Births<Real>& births_;
    Stats& stats_;
    const Execution& execution_;
    std::vector<std::unique_ptr<Flow<Real>>> flows_;  ///< one a thread
    Columns columns_;
    Buffer<Bar<Real>> bars_;
};

}  // namespace adabet
