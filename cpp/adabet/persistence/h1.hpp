#pragma once

#include <cstddef>
#include <span>

#include "adabet/execution.hpp"
#include "adabet/persistence/barcode.hpp"
#include "adabet/persistence/plan.hpp"
#include "adabet/rips/distances.hpp"

namespace adabet {

struct H1Options {
    std::span<const Vertex> order = {};  ///< edges are named by the rows that it gives their ends; empty: as they are
    bool representatives = false;        ///< each interval gets a closed loop of vertices
    PlanChoice plan = {};                ///< whether lists of neighbours are used
};

/// Exact H1 (over Z/2) of the Vietoris-Rips filtration of the distances, edges up to and including `threshold`.
template <class Real>
[[nodiscard]] Barcode<Real> h1(const Distances<Real>& distances, Real threshold, const Execution& execution,
                               const H1Options& options = {});

/// The number of H1 intervals with death > birth alone; needs no reduction where no two edges that meet have one length.
template <class Real>
[[nodiscard]] std::size_t betti1(const Distances<Real>& distances, Real threshold, const Execution& execution);

/// The number of H1 intervals with death - birth > min_persistence: betti1 where that is zero.
template <class Real>
[[nodiscard]] std::size_t count_bars(const Distances<Real>& distances, Real threshold, Real min_persistence,
                                     const Execution& execution);

template <class Real>
[[nodiscard]] Barcode<Real> h1(const DistanceMatrix<Real>& matrix, Real threshold, const Execution& execution) {
    return h1(Distances<Real>(matrix), threshold, execution);
}
template <class Real>
[[nodiscard]] std::size_t betti1(const DistanceMatrix<Real>& matrix, Real threshold, const Execution& execution) {
    return betti1(Distances<Real>(matrix), threshold, execution);
}
template <class Real>
[[nodiscard]] std::size_t count_bars(const DistanceMatrix<Real>& matrix, Real threshold, Real min_persistence,
                                     const Execution& execution) {
    return count_bars(Distances<Real>(matrix), threshold, min_persistence, execution);
}

}  // namespace adabet
