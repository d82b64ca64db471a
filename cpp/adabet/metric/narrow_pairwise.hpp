#pragma once

#include "adabet/metric/distance_output.hpp"
#include "adabet/metric/pairwise_plan.hpp"
#include "adabet/metric/point_tiles.hpp"

namespace adabet {

/// All distances of points with 1 to 64 coordinates: tiles above the diagonal, each mirrored while it is in cache.
template <class Real>
void narrow_pairwise(Isa isa, const PointCloud& points, Metric metric, const PairwisePlan& plan,
                     const DistanceOutput<Real>& out, std::span<const Vertex> order, const Execution& execution);

}  // namespace adabet
