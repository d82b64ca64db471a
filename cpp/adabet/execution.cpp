#include "adabet/execution.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "adabet/errors.hpp"

#if defined(__linux__)
#include <sched.h>
#endif

namespace adabet {

namespace {

using Task = std::function<void(std::size_t, int, const Execution&)>;

/// Time between two checkpoints while the calling thread waits for the others.
constexpr std::chrono::milliseconds kWait{10};

/// Shared by the threads of one call; lives on the caller's stack, so calls from several threads, and forks, do not meet.
class Team {
public:
    Team(const Execution& execution, std::size_t n_tasks, const Task& task)
        : execution_(execution), n_tasks_(n_tasks), task_(task) {}

    void start_helpers(std::size_t count) {
        helpers_.reserve(count);
        for (std::size_t k = 0; k < count; ++k) {
            {
                const std::lock_guard lock(mutex_);
                ++running_;
            }
            try {
                helpers_.emplace_back([this, k] { help(static_cast<int>(k) + 1); });
            } catch (const std::system_error&) {
                const std::lock_guard lock(mutex_);
                --running_;
                return;  // no more threads to be had: those that run share the work
            }
        }
    }

    /// All shares, on threads of a lender. Those that come late find nothing to do.
    void run_lent(std::size_t count) {
        execution_.lender(static_cast<int>(count), [this](int k) noexcept {
            if (k == 0) return lead();
            {
                const std::lock_guard lock(mutex_);
                ++running_;
            }
            help(k);
        });
    }

    /// The calling thread's share; then it waits, and still looks at the checkpoint.
    void lead() noexcept {
        const Execution own{execution_.budget, 1, [this] {
                                refuse_if_stopped();
                                execution_.check();
                            }};
        guarded([&] {
            work(0, own, [&own] { own.check(); });
            std::unique_lock lock(mutex_);
            while (!done_.wait_for(lock, kWait, [this] { return running_ == 0; })) {
                lock.unlock();
                execution_.check();
                lock.lock();
            }
        });
    }

    void join_and_rethrow() {
        helpers_.clear();
        if (error_) std::rethrow_exception(error_);
    }

private:
    void help(int worker) noexcept {
        guarded([&] { work(worker, {execution_.budget, 1, [this] { refuse_if_stopped(); }}, [] {}); });
        const std::lock_guard lock(mutex_);
        --running_;
        done_.notify_one();
    }
    void refuse_if_stopped() const {
        if (stop_.load(std::memory_order_relaxed)) throw Cancelled();
    }
    template <class Between>
    void work(int worker, const Execution& own, Between&& between) {
        while (!stop_.load(std::memory_order_relaxed)) {
            const std::size_t i = next_.fetch_add(1, std::memory_order_relaxed);
            if (i >= n_tasks_) return;
            task_(i, worker, own);
            between();
        }
    }
    /// Keeps the first exception and stops the others, whose own exceptions then only say that they stopped.
    template <class Body>
    void guarded(Body&& body) noexcept {
        try {
            body();
        } catch (...) {
            const std::lock_guard lock(mutex_);
            if (!error_) error_ = std::current_exception();
            stop_.store(true, std::memory_order_relaxed);
        }
    }

    const Execution& execution_;
    std::size_t n_tasks_;
    const Task& task_;
    std::atomic<std::size_t> next_{0};
    std::atomic<bool> stop_{false};
    std::mutex mutex_;
    std::condition_variable done_;
    std::size_t running_ = 0;  ///< helpers at work
    std::exception_ptr error_;
    std::vector<std::jthread> helpers_;  ///< last: joined before the rest is gone
};

}  // namespace

void parallel_for(const Execution& execution, std::size_t n_tasks, const Task& task) {
    Team team(execution, n_tasks, task);
    const auto wanted = static_cast<std::size_t>(std::max(1, execution.n_threads));
    const std::size_t count = std::min(wanted, std::max<std::size_t>(1, n_tasks));
    if (execution.lender && count > 1) {
        team.run_lent(count);
    } else {
        team.start_helpers(count - 1);
        team.lead();
    }
    team.join_and_rethrow();
}

void parallel_for(const Execution& execution, std::size_t n_tasks, const std::function<void(std::size_t, int)>& task) {
    parallel_for(execution, n_tasks, Task([&task](std::size_t i, int worker, const Execution&) { task(i, worker); }));
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
