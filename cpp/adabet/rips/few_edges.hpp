#pragma once

#include <cstddef>
#include <optional>

#include "adabet/execution.hpp"
#include "adabet/rips/distances.hpp"
#include "adabet/rips/survey.hpp"

namespace adabet {

/// About how many edges there are up to and including `longest`, by a sample.
template <class Real>
[[nodiscard]] std::size_t estimated_edges(const Distances<Real>& distances, LengthKey<Real> longest,
                                          const Execution& execution);

/// All edges up to and including `longest`, about `expected` of them, in the order of the filtration; none where there are
/// more than `most`.
template <class Real>
[[nodiscard]] std::optional<Buffer<RankedEdge<Real>>> few_edges(const Distances<Real>& distances,
                                                                const BlockBounds<Real>& bounds,
                                                                LengthKey<Real> longest, std::size_t expected,
                                                                std::size_t most, const Execution& execution);

}  // namespace adabet
