#pragma once

#include "adabet/execution.hpp"
#include "adabet/rips/distances.hpp"

namespace adabet {

/// Lengths of `count` pairs by a fixed pseudo-random sequence, the same in each run; sorted.
template <class Real>
[[nodiscard]] Buffer<LengthKey<Real>> sample_lengths(const Distances<Real>& distances, std::size_t count,
                                                     const Execution& execution);

}  // namespace adabet
