#include "adabet/persistence/batch.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "adabet/errors.hpp"
#include "adabet/metric/cloud_runner.hpp"
#include "adabet/persistence/h1.hpp"
#include "adabet/persistence/held_distances.hpp"
#include "adabet/rips/few_points.hpp"

namespace adabet {

namespace {

/// What one thread needs for one cloud after another.
template <class Real>
class Counter {
public:
    Counter(Metric metric, MemoryBudget& budget)
        : metric_(metric), distances_(active_isa(), metric, budget), matrix_(make_buffer<Real>(budget)) {}

    /// `next` is the cloud that is likely to come next, if there is one.
    std::size_t count(const PointCloud& cloud, const MemoryPlan& plan, Real threshold, Real min_persistence,
                      const Execution& execution, const PointCloud* next) {
        const std::size_t n = cloud.n;
        const bool by_matrix = plan.kind == PlanKind::dense && !is_ordered_first(cloud);
        const bool is_small = by_matrix && n <= FewPoints<Real>::kMost;
        if (!is_small) distances_.give_back();
        make_matrix(by_matrix ? n * n : 0);
        if (!by_matrix) {
            const HeldDistances<Real> held(cloud, metric_, plan, execution);
            return count_bars(held.distances(), threshold, min_persistence, execution);
        }
        if (is_small) {
            distances_.run(cloud, {}, DistanceOutput<Real>{.out = matrix_.data(), .n = n, .stride = n}, execution,
                           next);
        } else {
            pairwise_distances(cloud, metric_, matrix_.data(), n, execution);
        }
        return count_bars(DistanceMatrix<Real>{matrix_.data(), n, n}, threshold, min_persistence, execution);
    }

private:
    /// What is held for one cloud stays for the next where they are alike: none finds less room than by itself.
    void make_matrix(std::size_t size) {
        if (matrix_.size() == size) return;
        Buffer<Real>(matrix_.get_allocator()).swap(matrix_);
        matrix_.resize(size);
    }

    Metric metric_;
    CloudRunner<Real> distances_;
    Buffer<Real> matrix_;
};

}  // namespace

template <class Real>
void betti1_batch(std::span<const PointCloud> clouds, Metric metric, Real threshold, Real min_persistence,
                  std::size_t* out, const Execution& execution) {
    const auto n_threads = static_cast<std::size_t>(std::max(1, execution.n_threads));
    const bool whole_clouds = n_threads > 1 && clouds.size() >= 2 * n_threads;
    const std::size_t at_once = whole_clouds ? n_threads : 1;

    // As each cloud's own call would hold its distances; of several at once each within its share, if that can be.
    const std::size_t limit = execution.budget.limit();
    std::vector<MemoryPlan> plans;
    plans.reserve(clouds.size());
    for (const PointCloud& cloud : clouds) {
        plans.push_back(plan_for_points(cloud, metric, sizeof(Real), whole_clouds ? 1 : execution.n_threads,
                                        limit / at_once, {}, std::isfinite(threshold)));
        if (plans.back().fixed > limit)
            throw BudgetExceeded(limit, plans.back().fixed, std::to_string(cloud.n) + " points");
    }
    std::vector<Counter<Real>> counters;
    counters.reserve(at_once);
    for (std::size_t k = 0; k < at_once; ++k) counters.emplace_back(metric, execution.budget);

    const auto run = [&](std::size_t i, int worker, const Execution& own) {
        const std::size_t next = i + at_once;
        try {
            out[i] = counters[static_cast<std::size_t>(worker)].count(
                clouds[i], plans[i], threshold, min_persistence, own, next < clouds.size() ? &clouds[next] : nullptr);
        } catch (const InvalidInput& error) {
            throw InvalidInput("cloud " + std::to_string(i) + ": " + error.what());
        }
    };
    if (!whole_clouds) {
        for (std::size_t i = 0; i < clouds.size(); ++i) {
            execution.check();
            run(i, 0, execution);
        }
        return;
    }
    parallel_for(execution, clouds.size(), run);
}

template void betti1_batch<float>(std::span<const PointCloud>, Metric, float, float, std::size_t*, const Execution&);
template void betti1_batch<double>(std::span<const PointCloud>, Metric, double, double, std::size_t*, const Execution&);

}  // namespace adabet
