#pragma once

#include "adabet/rips/block_bounds.hpp"
#include "adabet/rips/distances.hpp"
#include "adabet/rips/enclosing_radius.hpp"

namespace adabet {

/// What one look at all distances tells.
template <class Real>
struct Survey {
    EnclosingRadius<Real> enclosing;
    Buffer<double>
        remoteness;  ///< of each point: the sum of its distances, or of some of them where they are not resident
    BlockBounds<Real> bounds;  ///< of large inputs alone
};

template <class Real>
[[nodiscard]] Survey<Real> survey_distances(const Distances<Real>& distances, const Execution& execution);

/// Below this many points bounds of groups cost more than they bring.
inline constexpr std::size_t kFewestSurveyedPoints = 512;

/// Bytes that a survey holds, and that making it takes beside them.
[[nodiscard]] std::size_t survey_bytes(std::size_t n, std::size_t real_size);
[[nodiscard]] std::size_t survey_scratch_bytes(std::size_t n, std::size_t real_size, bool resident, int n_threads);

}  // namespace adabet
