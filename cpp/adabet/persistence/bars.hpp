#pragma once

#include "adabet/memory_budget.hpp"
#include "adabet/persistence/barcode.hpp"
#include "adabet/persistence/births.hpp"
#include "adabet/persistence/limits.hpp"
#include "adabet/persistence/reduction.hpp"
#include "adabet/persistence/window.hpp"
#include "adabet/rips/survey.hpp"

namespace adabet {

/// The bars with death > birth of the given births, in no order: edges up to the window's end are taken one by one until
/// all classes are dead. Adds to `stats` what it did.
template <class Real>
[[nodiscard]] Buffer<Bar<Real>> find_bars(const Distances<Real>& distances, const Survey<Real>& survey,
                                          const Births<Real>& births, const Window<Real>& window,
                                          const RunLimits& limits, Stats& stats, const Execution& execution);

}  // namespace adabet
