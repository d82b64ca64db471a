#pragma once

#include <optional>

#include "adabet/execution.hpp"
#include "adabet/persistence/plan.hpp"
#include "adabet/persistence/window.hpp"
#include "adabet/rips/survey.hpp"

namespace adabet {

/// All edges of the window, where lists of neighbours are the plan for them: where that was asked for, where bit rows do
/// not fit, or where there are so few edges that lists are quicker. None otherwise. Throws BudgetExceeded where lists are
/// the only plan and do not fit either.
template <class Real>
[[nodiscard]] std::optional<Buffer<RankedEdge<Real>>> listed_edges(const Distances<Real>& distances,
                                                                   const Survey<Real>& survey,
                                                                   const Window<Real>& window, PlanChoice choice,
                                                                   bool bits_fit, const Execution& execution);

}  // namespace adabet
