#pragma once

#include <cstddef>
#include <optional>

#include "adabet/types.hpp"

namespace adabet {

/// The Betti number of a small cloud as in `betti1`, without a list, an order or an allocation; no bigger than what a
/// selection layer's pool has. Nothing where there are too many points, or equal lengths that bear on the answer.
///
/// With distinct lengths no bar has length zero, so that every birth below the enclosing radius is a bar; and how many edges
/// of the relative neighbourhood graph give birth follows from its components, whatever their order.
template <class Real>
[[nodiscard]] std::optional<std::size_t> betti1_of_few_points(const DistanceMatrix<Real>& distances, Real threshold);

}  // namespace adabet
