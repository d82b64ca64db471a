#pragma once

#include <cstddef>
#include <functional>

#include "adabet/memory_budget.hpp"

namespace adabet {

/// How far a call has come.
struct Progress {
    std::size_t edges = 0;   ///< looked at, in the order of the filtration
    std::size_t births = 0;  ///< classes that are born in all
    std::size_t alive = 0;   ///< of these, not dead yet
    double radius = 0;       ///< length of the last edge
};

/// Threads that belong to someone else: runs body(k) for k in [0, count), each on a thread of its own, k = 0 on the calling
/// one, and returns when all are done. It may leave out any k but 0. `body` does not throw.
using Lender = std::function<void(int count, const std::function<void(int k)>& body)>;

/// How a call runs: threads, memory, and how it can be interrupted.
struct Execution {
    MemoryBudget& budget;
    int n_threads = 1;
    /// Called on the calling thread at least every 50 ms or so of work; throws (Cancelled, say) to stop.
    std::function<void()> checkpoint = {};
    /// Called on the calling thread now and then; may throw to stop.
    std::function<void(const Progress&)> report = {};
    /// If given, distances are computed on these threads instead of on new ones.
    Lender lender = {};

    void check() const {
        if (checkpoint) checkpoint();
    }
};

/// Runs task(i, worker) for i in [0, n_tasks) on up to execution.n_threads threads, the calling one (worker 0) included.
/// Tasks are handed out in order, one at a time. The calling thread runs the checkpoint between its tasks, and while it
/// waits for the others. The first exception stops the hand-out, all threads are joined, and it is rethrown.
void parallel_for(const Execution& execution, std::size_t n_tasks,
                  const std::function<void(std::size_t task, int worker)>& task);

/// The same for tasks that may be long: each gets an Execution of one thread, whose check() throws, on any thread, once the
/// call is to stop; on the calling thread it runs the checkpoint as well.
void parallel_for(const Execution& execution, std::size_t n_tasks,
                  const std::function<void(std::size_t task, int worker, const Execution& own)>& task);

/// The cores this process may use (its affinity mask), at least 1.
[[nodiscard]] int available_cores();

}  // namespace adabet
