#pragma once

#include <cstddef>

#include "adabet/metric/distance_output.hpp"
#include "adabet/metric/metrics.hpp"
#include "adabet/metric/pairwise.hpp"
#include "adabet/metric/panel.hpp"

namespace adabet {

/// The pairs of points [first_a, first_a + n_a) and [first_b, first_b + n_b); where both begin at one point, those i < j.
struct PairBlock {
    std::size_t first_a;
    std::size_t first_b;
    std::size_t n_a;
    std::size_t n_b;
};

/// Sums to distances, written to wherever the output has a place for them.
/// Throws InvalidInput where a distance overflows Real, or a coordinate that nobody looked at is NaN or infinite.
template <class Real>
void write_block(const PackSource& source, Metric metric, const double* sums, std::size_t ld_sums,
                 const PairBlock& block, const DistanceOutput<Real>& out);

/// Sums to the distances of point i to the points from `first` on. Throws InvalidInput where one overflows Real.
template <class Real>
void distances_of_row(const PackSource& source, Metric metric, std::size_t i, std::size_t first, const double* sums,
                      std::size_t count, Real* to);

/// One distance, the same.
template <class Real>
[[nodiscard]] Real distance_of_pair(const PackSource& source, Metric metric, std::size_t i, std::size_t j, double sum);

}  // namespace adabet
