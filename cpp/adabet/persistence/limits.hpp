#pragma once

#include <cstddef>

#include "adabet/execution.hpp"

namespace adabet {

/// What a run may use, chosen before it starts from the bytes that are free.
struct RunLimits {
    std::size_t largest_batch;  ///< edges sorted at once
    int graph_copies;           ///< bit rows, one set a thread
    std::size_t fixed_bytes;    ///< most working memory that follows from n and threads alone, beyond matrix or tiles
    bool fit;                   ///< whether that fits
};

/// For what the budget has left.
[[nodiscard]] RunLimits run_limits(std::size_t n, std::size_t real_size, bool resident, const Execution& execution);

/// Throws BudgetExceeded where not even the smallest run fits.
void refuse_beyond(const RunLimits& limits, std::size_t n, const Execution& execution);

/// What bit rows and the columns of so many births take at least.
[[nodiscard]] std::size_t run_bytes(std::size_t n, std::size_t n_births, const RunLimits& limits);

/// For `free_bytes`; a run that does not fit is given back as the smallest there is.
[[nodiscard]] RunLimits run_limits(std::size_t n, std::size_t real_size, bool resident, int n_threads,
                                   std::size_t free_bytes);

}  // namespace adabet
