#pragma once

#include <cstddef>

#include "adabet/metric/normalise.hpp"
#include "adabet/metric/pairwise.hpp"

namespace adabet {

/// Where a block of pairs ends up.
template <class Real>
struct BlockOutput {
    Real* out;
    std::size_t stride;
    std::size_t first_a;
    std::size_t first_b;
    std::size_t n_a;
    std::size_t n_b;
};

/// Sums to distances, written into both triangles (first_a == first_b: a diagonal block, of which i < j counts).
/// Throws InvalidInput where a distance overflows Real.
template <class Real>
void write_block(const PointCloud& points, Metric metric, const Kernels& table, const double* sums, std::size_t ld_sums,
                 const BlockOutput<Real>& block);

}  // namespace adabet
