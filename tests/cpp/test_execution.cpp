// Threads of one call: whatever stops one of them stops all of them soon, also where tasks are long.

#include "adabet/execution.hpp"

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "adabet/errors.hpp"
#include "check.hpp"

namespace {

using namespace adabet;
using Clock = std::chrono::steady_clock;

/// Far longer than any of these checks should take.
constexpr std::chrono::seconds kForever{60};

/// Works until its call stops; returns where that never happens.
void work_until_stopped(const Execution& own) {
    const auto start = Clock::now();
    while (Clock::now() - start < kForever) own.check();
}

void check_every_task_once() {
    MemoryBudget budget;
    for (const int threads : {1, 2, 7, 64}) {
        for (const std::size_t n_tasks : {std::size_t{0}, std::size_t{1}, std::size_t{5}, std::size_t{300}}) {
            std::vector<std::atomic<int>> done(n_tasks);
            std::atomic<bool> in_range{true};
            parallel_for(Execution{budget, threads, {}}, n_tasks, [&](std::size_t i, int worker, const Execution& own) {
                ++done[i];
                if (worker < 0 || worker >= threads || own.n_threads != 1) in_range = false;
                own.check();
            });
            for (const auto& count : done) CHECK_EQ(count.load(), 1);
            CHECK(in_range.load());
        }
    }
}

/// The calling thread has nothing left to do, but still looks at the checkpoint, and ends the long task of another.
void check_cancelled_while_waiting() {
    MemoryBudget budget;
    const auto start = Clock::now();
    std::atomic<bool> helper_is_at_it{false};
    const Execution execution{budget, 2, [&] {
                                  if (helper_is_at_it) throw Cancelled();
                              }};
    CHECK_THROWS(Cancelled, parallel_for(execution, 2, [&](std::size_t, int worker, const Execution& own) {
                     if (worker == 0) {
                         while (!helper_is_at_it && Clock::now() - start < kForever) std::this_thread::yield();
                         return;
                     }
                     helper_is_at_it = true;
                     work_until_stopped(own);
                 }));
    CHECK(Clock::now() - start < kForever);
}

/// An error of one thread ends the long tasks of all others, the caller's too, and is what comes out.
void check_error_stops_all() {
    MemoryBudget budget;
    for (const int failing : {0, 1, 2}) {
        const auto start = Clock::now();
        std::atomic<int> at_work{0};
        CHECK_THROWS_SAYING(
            InvalidInput, "the one error",
            parallel_for(Execution{budget, 3, {}}, 3, [&](std::size_t, int worker, const Execution& own) {
                ++at_work;
                while (at_work < 3 && Clock::now() - start < kForever) std::this_thread::yield();
                if (worker == failing) throw InvalidInput("the one error");
                work_until_stopped(own);
            }));
        CHECK(Clock::now() - start < kForever);
    }
}

}  // namespace

int main() {
    check_every_task_once();
    check_cancelled_while_waiting();
    check_error_stops_all();
    return check::result();
}
