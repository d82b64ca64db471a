#pragma once

#include "adabet/persistence/barcode.hpp"
#include "adabet/rips/device_rips.hpp"

namespace adabet {

/// h1 of a distance matrix in a device's memory: the device finds births and critical edges, the host flows and reduces.
/// The intervals are those of h1 on the host. `execution.budget` counts host bytes.
template <class Real>
[[nodiscard]] Barcode<Real> h1_on_device(DeviceRips<Real>& rips, Real threshold, const Execution& execution);

/// The number of its intervals with death - birth > min_persistence.
template <class Real>
[[nodiscard]] std::size_t count_bars_on_device(DeviceRips<Real>& rips, Real threshold, Real min_persistence,
                                               const Execution& execution);

}  // namespace adabet
