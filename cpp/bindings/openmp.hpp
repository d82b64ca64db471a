#pragma once

#include "adabet/execution.hpp"

namespace adabet::bindings {

/// Lends the calling thread's team of the OpenMP runtime that this process has loaded already (PyTorch's), found by name;
/// nothing where there is none. That team spins for milliseconds after each of its own loops and leaves new threads no core.
/// `team` is the number of threads it has: with another number the runtime would end some or start more.
[[nodiscard]] Lender openmp_lender(int team);

}  // namespace adabet::bindings
