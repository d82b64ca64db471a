// What a run may take and leave: memory under a budget, interruption at any point, threads, several callers at once.

#include <thread>

#include "adabet/persistence/batch.hpp"
#include "adabet/persistence/h1.hpp"
#include "check.hpp"
#include "clouds.hpp"

namespace {

using namespace adabet;

clouds::Matrix<float> sample(std::size_t n) { return clouds::make<float>("points", n, 11); }

void check_budget() {
    const auto matrix = clouds::make<float>("random", 150, 3);
    MemoryBudget unlimited;
    const auto expected = h1(matrix.view(), infinity<float>, Execution{unlimited});
    const std::size_t peak = unlimited.peak();
    CHECK(peak > 0);
    CHECK_EQ(expected.stats.peak_bytes, peak);
    std::size_t refused = 0;
    for (std::size_t limit = 0; limit < peak; limit += peak / 23 + 1) {
        MemoryBudget budget(limit);
        try {
            const auto got = h1(matrix.view(), infinity<float>, Execution{budget});
            CHECK(got.intervals == expected.intervals);
        } catch (const BudgetExceeded& error) {
            ++refused;
            CHECK_EQ(error.budget, limit);
            CHECK(error.needed > limit);
        }
        CHECK(budget.peak() <= limit);
        CHECK_EQ(budget.used(), std::size_t{0});
    }
    CHECK(refused > 5);
    MemoryBudget enough(peak);
    CHECK(h1(matrix.view(), infinity<float>, Execution{enough}).intervals == expected.intervals);
}

/// Wherever the checkpoint throws, the call ends by it and gives everything back. Threads share their work out as they go,
/// so a call on two may look at the checkpoint fewer times than the one that was counted; one on one thread never does.
void check_cancellation(std::size_t n, int threads) {
    const auto matrix = sample(n);
    int calls = 0;
    MemoryBudget budget;
    static_cast<void>(h1(matrix.view(), infinity<float>, Execution{budget, threads, [&] { ++calls; }}));
    CHECK(calls > 3);
    int cancelled = 0;
    for (int stop_at = 1; stop_at <= calls; stop_at += 1 + calls / 17) {
        int seen = 0;
        const Execution execution{budget, threads, [&] {
                                      if (++seen == stop_at) throw Cancelled();
                                  }};
        bool thrown = false;
        try {
            static_cast<void>(h1(matrix.view(), infinity<float>, execution));
        } catch (const Cancelled&) {
            thrown = true;
        }
        cancelled += thrown ? 1 : 0;
        CHECK_EQ(thrown, seen >= stop_at);
        CHECK(thrown || threads > 1);
        CHECK_EQ(budget.used(), std::size_t{0});
    }
    CHECK(cancelled > 3);
}

void check_threads() {
    const auto matrix = sample(900);  // rows and edges enough for threads to share the lunes
    MemoryBudget budget;
    const auto one = h1(matrix.view(), infinity<float>, Execution{budget, 1, {}});
    for (const int threads : {2, 7}) {
        const auto many = h1(matrix.view(), infinity<float>, Execution{budget, threads, {}});
        CHECK(many.intervals == one.intervals);
        CHECK(many.birth_edges == one.birth_edges);
        CHECK(many.death_edges == one.death_edges);
        CHECK(many.h0_deaths == one.h0_deaths);
    }
    std::vector<std::jthread> callers;
    for (int i = 0; i < 3; ++i) {
        callers.emplace_back([&] {
            MemoryBudget own;
            CHECK(h1(matrix.view(), infinity<float>, Execution{own, 2, {}}).intervals == one.intervals);
        });
    }
}

void check_batch() {
    constexpr std::size_t kDimension = 5;
    std::vector<std::vector<float>> points;
    std::vector<PointCloud> batch;
    clouds::Random random(9);
    for (std::size_t i = 0; i < 40; ++i) {
        const std::size_t n = i % 7 == 0 ? i % 3 : 20 + random.below(80);
        points.emplace_back(n * kDimension);
        for (float& x : points.back()) x = static_cast<float>(random.uniform());
        batch.push_back({points.back().data(), ScalarType::float32, n, kDimension, kDimension, 1});
    }
    MemoryBudget budget;
    for (const float least : {0.0F, 0.05F}) {
        std::vector<std::size_t> expected;
        for (const PointCloud& cloud : batch) {
            std::vector<float> matrix(cloud.n * cloud.n);
            pairwise_distances(cloud, Metric::euclidean, matrix.data(), cloud.n, Execution{budget});
            std::size_t count = 0;
            for (const auto& bar :
                 h1(DistanceMatrix<float>{matrix.data(), cloud.n, cloud.n}, infinity<float>, Execution{budget})
                     .intervals)
                count += bar.death - bar.birth > least ? 1 : 0;
            expected.push_back(count);
        }
        for (const int threads : {1, 2, 5}) {
            std::vector<std::size_t> got(batch.size());
            betti1_batch<float>(batch, Metric::euclidean, infinity<float>, least, got.data(),
                                Execution{budget, threads, {}});
            CHECK(got == expected);
        }
    }
    points[20][3] = std::numeric_limits<float>::quiet_NaN();
    std::vector<std::size_t> got(batch.size());
    CHECK_THROWS_SAYING(
        InvalidInput, "cloud 20: ",
        betti1_batch<float>(batch, Metric::euclidean, infinity<float>, 0.0F, got.data(), Execution{budget, 2, {}}));
    CHECK_EQ(budget.used(), std::size_t{0});
}

void check_arguments() {
    const auto matrix = sample(5);
    MemoryBudget budget;
    const Execution execution{budget};
    CHECK_THROWS_SAYING(InvalidInput, "threshold",
                        h1(matrix.view(), std::numeric_limits<float>::quiet_NaN(), execution));
    CHECK_THROWS_SAYING(InvalidInput, "threshold", betti1(matrix.view(), -1.0F, execution));
    CHECK_EQ(h1(matrix.view(), 0.0F, execution).intervals.size(), std::size_t{0});
}

}  // namespace

int main() {
    check_budget();
    for (const std::size_t n : {300UL, 700UL})
        for (const int threads : {1, 2}) check_cancellation(n, threads);
    check_threads();
    check_batch();
    check_arguments();
    return check::result();
}
