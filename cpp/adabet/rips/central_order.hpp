#pragma once

#include "adabet/execution.hpp"
#include "adabet/types.hpp"

namespace adabet {

/// All vertices, the one with the smallest sum of distances first. In high dimension a few central points are near to all
/// others, and a lune that has one of them is connected: the search that tries them first ends at once.
template <class Real>
[[nodiscard]] Buffer<Vertex> central_order(const DistanceMatrix<Real>& distances, const Execution& execution);

}  // namespace adabet
