#pragma once

#include "adabet/isa.hpp"
#include "adabet/metric/pairwise.hpp"

namespace adabet {

/// pairwise_distances with the kernels of one instruction set, which must be among available_isas(): for tests and timings.
template <class Real>
void pairwise_distances_on(Isa isa, const PointCloud& points, Metric metric, Real* out, std::size_t stride,
                           const Execution& execution, std::span<const Vertex> order = {});

}  // namespace adabet
