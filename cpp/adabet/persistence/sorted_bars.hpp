#pragma once

#include "adabet/persistence/barcode.hpp"
#include "adabet/persistence/reduction.hpp"

namespace adabet {

/// Writes bars into a barcode, sorted by (birth, death, birth edge).
template <class Real>
void write_sorted(Buffer<Bar<Real>> bars, Barcode<Real>& barcode, const Execution& execution);

}  // namespace adabet
