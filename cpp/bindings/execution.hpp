#pragma once

#include <cstddef>

#include "adabet/execution.hpp"

namespace adabet::bindings {

/// The budget and the checkpoint of one call from Python. Work on `execution` with the GIL released: its checkpoint takes
/// the GIL at most every 50 ms, lets Python handle its signals, and throws what a handler raised (KeyboardInterrupt).
class Call {
public:
    Call(std::size_t max_memory, int n_threads);

private:
    MemoryBudget budget_;

public:
    const Execution execution;
};

}  // namespace adabet::bindings
