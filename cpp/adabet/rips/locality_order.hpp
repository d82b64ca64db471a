#pragma once

#include "adabet/execution.hpp"
#include "adabet/metric/distance_tiles.hpp"

namespace adabet {

/// An order in which near points have near numbers, so that bounds of groups say much: points are halved again and again by
/// their distance from one of a few landmarks, each time the one that tells them apart best.
template <class Real>
[[nodiscard]] Buffer<Vertex> locality_order(const DistanceTiles<Real>& tiles, const Execution& execution);

}  // namespace adabet
