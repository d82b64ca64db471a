#pragma once

#include "adabet/memory_budget.hpp"
#include "adabet/persistence/barcode.hpp"
#include "adabet/persistence/births.hpp"
#include "adabet/persistence/reduction.hpp"
#include "adabet/persistence/window.hpp"

namespace adabet {

/// The bars with death > birth of the given births, in no order: edges up to the window's end are taken one by one until
/// all classes are dead. Adds to `stats` what it did.
template <class Real>
[[nodiscard]] Buffer<Bar<Real>> find_bars(const DistanceMatrix<Real>& distances, const Births<Real>& births,
                                          const Window<Real>& window, Stats& stats, const Execution& execution);

/// The working bytes of find_bars that follow from n.
[[nodiscard]] std::size_t find_bars_bytes(std::size_t n, std::size_t real_size);

}  // namespace adabet
