#include "adabet/execution.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

namespace adabet {

namespace {

/// Shared by the threads of one call; lives on the caller's stack, so calls from several threads, and forks, do not meet.
class Team {
public:
    Team(std::size_t n_tasks, const std::function<void(std::size_t, int)>& task) : n_tasks_(n_tasks), task_(task) {}

    template <class Between>
    void work(int worker, Between&& between) noexcept {
        try {
            while (!stop_.load(std::memory_order_relaxed)) {
                const std::size_t i = next_.fetch_add(1, std::memory_order_relaxed);
                if (i >= n_tasks_) return;
                task_(i, worker);
                between();
            }
        } catch (...) {
            const std::lock_guard lock(mutex_);
            if (!error_) error_ = std::current_exception();
            stop_.store(true, std::memory_order_relaxed);
        }
    }
    void rethrow() const {
        if (error_) std::rethrow_exception(error_);
    }

private:
    std::size_t n_tasks_;
    const std::function<void(std::size_t, int)>& task_;
    std::atomic<std::size_t> next_{0};
    std::atomic<bool> stop_{false};
    std::mutex mutex_;
    std::exception_ptr error_;
};

}  // namespace

void parallel_for(const Execution& execution, std::size_t n_tasks, const std::function<void(std::size_t, int)>& task) {
    Team team(n_tasks, task);
    const auto wanted = static_cast<std::size_t>(std::max(1, execution.n_threads));
    {
        std::vector<std::jthread> helpers;
        const std::size_t n_helpers = n_tasks == 0 ? 0 : std::min(wanted, n_tasks) - 1;
        helpers.reserve(n_helpers);
        for (std::size_t k = 0; k < n_helpers; ++k) {
            try {
                helpers.emplace_back([&team, k] { team.work(static_cast<int>(k) + 1, [] {}); });
            } catch (const std::system_error&) {
                break;  // no more threads to be had: those that run share the work
            }
        }
        team.work(0, [&execution] { execution.check(); });
    }
    team.rethrow();
}

int available_cores() {
#if defined(__linux__)
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace adabet
