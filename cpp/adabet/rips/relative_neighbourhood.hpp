#pragma once

#include "adabet/rips/survey.hpp"

namespace adabet {

/// The edges {a, b} with d(a, b) <= longest and an empty lune, in the order of the filtration: the only ones that change
/// H0 or give birth in H1.
template <class Real>
[[nodiscard]] Buffer<RankedEdge<Real>> relative_neighbourhood_graph(const Distances<Real>& distances,
                                                                    const Survey<Real>& survey, LengthKey<Real> longest,
                                                                    const Execution& execution);

/// Bytes of its scratch that follow from n.
[[nodiscard]] std::size_t relative_neighbourhood_bytes(std::size_t n, std::size_t real_size, bool resident,
                                                       int n_threads);

}  // namespace adabet
