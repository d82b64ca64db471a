#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <limits>
#include <string>

#include "adabet/persistence/barcode.hpp"

namespace adabet::bindings {

/// A filtration value in the working precision; what lies beyond it is infinite.
template <class Real>
Real to_real(double value) {
    return value > static_cast<double>(std::numeric_limits<Real>::max()) ? infinity<Real> : static_cast<Real>(value);
}

/// What `h1` gives to Python.
template <class Real>
pybind11::dict barcode_dict(const Barcode<Real>& barcode, std::size_t n, const std::string& plan,
                            double seconds_distances, std::size_t peak_bytes);

}  // namespace adabet::bindings
