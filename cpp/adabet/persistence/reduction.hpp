#pragma once

#include <span>
#include <utility>

#include "adabet/persistence/barcode.hpp"
#include "adabet/persistence/columns.hpp"
#include "adabet/persistence/flow.hpp"

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

    [[nodiscard]] bool all_dead() const { return columns_.deaths() == births_.size(); }

    /// `representatives` holds one vertex for each component of the edge's lune, at least two. Adds one 2-cell for each
    /// component but the first: its boundary is the cycle a - v0 - b - vi - a.
    void kill(const RankedEdge<Real>& edge, std::span<const Vertex> representatives);

    /// Ends the classes that are left.
    void end_all(Real death, Edge death_edge);

    /// The bars with death > birth, in no order.
    [[nodiscard]] Buffer<Bar<Real>> take_bars() { return std::move(bars_); }

private:
    static constexpr std::size_t kCellsPerCheck = 64;

    const Births<Real>& births_;
    Stats& stats_;
    const Execution& execution_;
    Flow<Real> flow_;
    Columns columns_;
    Buffer<Bar<Real>> bars_;
};

}  // namespace adabet
