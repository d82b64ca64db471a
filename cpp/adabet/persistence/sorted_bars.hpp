#pragma once

#include <span>

#include "adabet/persistence/barcode.hpp"
#include "adabet/persistence/reduction.hpp"

namespace adabet {

/// Writes bars into a barcode, sorted by (birth, death, birth edge). Edges are named by the rows that `order` gives their
/// ends; an empty one leaves them as they are.
template <class Real>
void write_sorted(Buffer<Bar<Real>> bars, std::span<const Vertex> order, Barcode<Real>& barcode,
                  const Execution& execution);

}  // namespace adabet
