#pragma once

#include "adabet/execution.hpp"
#include "adabet/rips/length_key.hpp"

namespace adabet {

/// Sorts edges that come by (larger end, smaller end) into the order of the filtration; `spare` is as long as `edges`, and may hold them in the
/// end: the two are swapped as often as it takes.
template <class Real>
void sort_by_length(Buffer<RankedEdge<Real>>& edges, Buffer<RankedEdge<Real>>& spare, const Execution& execution);

}  // namespace adabet
