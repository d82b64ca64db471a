#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>

#include "adabet/execution.hpp"

namespace adabet::bindings {

/// The GIL, released for a scope. Where the interpreter is gone by the scope's end, which can happen to a daemon thread,
/// Python before 3.14 ends the thread by unwinding its stack: through destructors that need the GIL, and into an abort. Such
/// a thread is held here instead, until the process ends.
class GilReleased {
public:
    GilReleased() : state_(PyEval_SaveThread()) {}
    GilReleased(const GilReleased&) = delete;
    GilReleased& operator=(const GilReleased&) = delete;
    ~GilReleased();

private:
    PyThreadState* state_;
};

/// The budget and the checkpoint of one call from Python. Work on `execution` with the GIL released: in the main thread its
/// checkpoint takes the GIL at most every 50 ms, lets Python handle its signals, and throws what a handler raised
/// (KeyboardInterrupt). Other threads handle no signals, so there it does nothing and waits for no GIL.
class Call {
public:
    /// `report(edges, births, alive, radius)` is called with the GIL, at most every 50 ms; None: nothing is.
    Call(std::size_t max_memory, int n_threads, const pybind11::object& report = pybind11::none(), Lender lender = {});

private:
    MemoryBudget budget_;

public:
    const Execution execution;
};

}  // namespace adabet::bindings
