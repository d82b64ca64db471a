#pragma once

#include <cstddef>
#include <span>

#include "adabet/execution.hpp"
#include "adabet/metric/pairwise.hpp"
#include "adabet/metric/point_cloud.hpp"

namespace adabet {

/// betti1 of every cloud: out[i] = its bars with death - birth > min_persistence. Threads take whole clouds where there
/// are enough of them, and share each cloud otherwise. What a cloud is refused for is thrown as InvalidInput that begins
/// with "cloud <i>: ".
template <class Real>
void betti1_batch(std::span<const PointCloud> clouds, Metric metric, Real threshold, Real min_persistence,
                  std::size_t* out, const Execution& execution);

}  // namespace adabet
