#pragma once

#include "adabet/execution.hpp"
#include "adabet/rips/length_key.hpp"

namespace adabet {

/// The relative neighbourhood graph: every edge with d <= longest whose lune is empty, in the order of the filtration.
/// These are the only edges that can join components or give birth in H1.
template <class Real>
[[nodiscard]] Buffer<RankedEdge<Real>> relative_neighbourhood_graph(const DistanceMatrix<Real>& distances,
                                                                    LengthKey<Real> longest,
                                                                    const Execution& execution);

}  // namespace adabet
