#pragma once

#include <cstddef>

#include "adabet/execution.hpp"
#include "adabet/metric/kernels.hpp"
#include "adabet/metric/pairwise.hpp"
#include "adabet/metric/row_norm.hpp"

namespace adabet {

/// For cosine and correlation. Throws InvalidInput for a row without a direction (zero, or for correlation constant).
void find_row_norms(const PointCloud& points, Metric metric, const Kernels& table, const Execution& execution,
                    int n_threads, RowNorm* norms);

/// Throws InvalidInput that names the first NaN or infinity, in row order, if there is one.
void refuse_non_finite(const PointCloud& points, const Kernels& table);
/// The same where the caller has seen that there is one.
[[noreturn]] void throw_non_finite(const PointCloud& points, const Kernels& table);

}  // namespace adabet
