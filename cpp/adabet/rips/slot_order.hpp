#pragma once

#include "adabet/rips/survey.hpp"

namespace adabet {

/// All vertices in the order in which bit rows number them. Where near points have near numbers they stay as they are: most
/// blocks of a row are empty then. Elsewhere the one with the smallest sum of distances comes first: in high dimension a
/// few central points are near to all others, and a lune that has one of them is connected, so that the search that tries
/// them first ends at once.
template <class Real>
[[nodiscard]] Buffer<Vertex> slot_order(const Survey<Real>& survey, std::size_t n, const Execution& execution);

}  // namespace adabet
