#pragma once

#include <cstddef>

#include "adabet/metric/kernels.hpp"
#include "adabet/metric/metrics.hpp"
#include "adabet/metric/pairwise.hpp"

/// What a metric takes from the table of kernels, and how its partial sums are put together.
namespace adabet {

[[nodiscard]] inline const CoreKernels& core_of(const Kernels& table, Metric metric) {
    if (metric == Metric::cityblock) return table.absolutes;
    if (metric == Metric::chebyshev) return table.largest;
    return table.squares;
}

inline void join_into(Metric metric, double* sums, const double* more, std::size_t count) {
    if (metric == Metric::chebyshev) {
        for (std::size_t k = 0; k < count; ++k) sums[k] = LargestAbsolute::join(sums[k], more[k]);
    } else {
        for (std::size_t k = 0; k < count; ++k) sums[k] = SumOfSquares::join(sums[k], more[k]);
    }
}

}  // namespace adabet
