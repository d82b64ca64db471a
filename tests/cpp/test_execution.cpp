// Threads of one call: whatever stops one of them stops all of them soon, also where tasks are long.

#include "adabet/execution.hpp"

#include <atomic>
#include <chrono>
#include <functional>
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

/// Lends threads, all of them, the calling one alone, or all but one; counts what it was asked for.
struct Lending {
    int left_out;  ///< this k; 0: none; -1: all but the calling thread's
    std::vector<int> asked;

    Lender lender() {
        return [this](int count, const std::function<void(int)>& body) {
            asked.push_back(count);
            std::vector<std::jthread> threads;
            for (int k = 1; k < count; ++k)
                if (left_out >= 0 && k != left_out) threads.emplace_back([&body, k] { body(k); });
            body(0);
        };
    }
};

void check_lent_threads() {
    MemoryBudget budget;
    for (const int left_out : {0, 1, -1}) {
        Lending lending{.left_out = left_out, .asked = {}};
        std::vector<std::atomic<int>> done(300);
        std::atomic<bool> in_range{true};
        const Execution execution{.budget = budget, .n_threads = 3, .lender = lending.lender()};
        parallel_for(execution, done.size(), [&](std::size_t i, int worker, const Execution&) {
            ++done[i];
            if (worker < 0 || worker >= 3 || (left_out != 0 && worker == left_out)) in_range = false;
        });
        for (const auto& count : done) CHECK_EQ(count.load(), 1);
        CHECK(in_range.load());
        CHECK_EQ(lending.asked.size(), std::size_t{1});
        CHECK_EQ(lending.asked[0], 3);
        CHECK_THROWS_SAYING(InvalidInput, "the one error",
                            parallel_for(execution, 300, [&](std::size_t i, int, const Execution& own) {
                                if (i == 0) throw InvalidInput("the one error");
                                work_until_stopped(own);
                            }));
    }
    Lending unasked{.left_out = 0, .asked = {}};
    parallel_for(Execution{.budget = budget, .n_threads = 1, .lender = unasked.lender()}, 5, [](std::size_t, int) {});
    parallel_for(Execution{.budget = budget, .n_threads = 3, .lender = unasked.lender()}, 0, [](std::size_t, int) {});
    CHECK(unasked.asked.empty());
}

}  // namespace

int main() {
    check_every_task_once();
    check_lent_threads();
    check_cancelled_while_waiting();
    check_error_stops_all();
    return check::result();
}
