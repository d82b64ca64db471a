#pragma once

#include <cstddef>

#include "adabet/execution.hpp"
#include "adabet/persistence/barcode.hpp"

namespace adabet {

/// Exact H1 (over Z/2) of the Vietoris-Rips filtration of a distance matrix, edges up to and including `threshold`.
template <class Real>
[[nodiscard]] Barcode<Real> h1(const DistanceMatrix<Real>& distances, Real threshold, const Execution& execution);

/// The number of H1 intervals with death > birth alone; needs no reduction where no two edges that meet have one length.
template <class Real>
[[nodiscard]] std::size_t betti1(const DistanceMatrix<Real>& distances, Real threshold, const Execution& execution);

/// The number of H1 intervals with death - birth > min_persistence: betti1 where that is zero.
template <class Real>
[[nodiscard]] std::size_t count_bars(const DistanceMatrix<Real>& distances, Real threshold, Real min_persistence,
                                     const Execution& execution);

/// Working bytes of the dense plan that follow from n alone.
[[nodiscard]] std::size_t h1_fixed_bytes(std::size_t n, std::size_t real_size);

}  // namespace adabet
