#pragma once

#include <functional>

#include "adabet/rips/survey.hpp"

namespace adabet {

/// The rows that candidate edges are looked for at once, where distances are made anew: their points are one another's
/// witnesses.
inline constexpr std::size_t kStripRows = 64;

/// The edges that no near point rules out of the relative neighbourhood graph, a few times as many as it has, less those
/// that `is_out` tells, on any thread. In no order.
template <class Real>
[[nodiscard]] Buffer<RankedEdge<Real>> candidate_edges(const Distances<Real>& distances, const Survey<Real>& survey,
                                                       LengthKey<Real> longest,
                                                       const std::function<bool(const RankedEdge<Real>&)>& is_out,
                                                       const Execution& execution);

[[nodiscard]] std::size_t candidate_edges_bytes(std::size_t n, std::size_t real_size, bool resident, int n_threads);

}  // namespace adabet
