#pragma once

#include "adabet/host_device.hpp"

namespace adabet {

/// What makes a row's coordinates normal: (x * scale_a * scale_b - mean) / norm. The scale is a power of two, so exact; it
/// brings the largest coordinate near 1, lest squares overflow or vanish.
struct RowNorm {
    double scale_a;
    double scale_b;
    double mean;
    double norm;

    [[nodiscard]] ADABET_HOST_DEVICE double operator()(double x) const { return (x * scale_a * scale_b - mean) / norm; }
};

}  // namespace adabet
