#pragma once

#include <cstddef>

#include "adabet/execution.hpp"

namespace adabet {

/// What a run may use, chosen before it starts from the bytes that are free.
struct RunLimits {
    std::size_t largest_batch;  ///< edges sorted at once
    int graph_copies;           ///< bit rows, one set a thread
    std::size_t fixed_bytes;    ///< most working memory that follows from n and threads alone, beyond matrix or tiles
};

/// Throws BudgetExceeded where not even the smallest run fits.
[[nodiscard]] RunLimits run_limits(std::size_t n, std::size_t real_size, bool resident, const Execution& execution);

/// The same for `free_bytes`; a run that does not fit is given back as the smallest there is.
[[nodiscard]] RunLimits run_limits(std::size_t n, std::size_t real_size, bool resident, int n_threads,
                                   std::size_t free_bytes);

}  // namespace adabet
