#include "adabet/persistence/batch.hpp"

#include <algorithm>
#include <string>

#include "adabet/errors.hpp"
#include "adabet/metric/cloud_runner.hpp"
#include "adabet/persistence/h1.hpp"
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
    std::size_t count(const PointCloud& cloud, Real threshold, Real min_persistence, const Execution& execution,
                      const PointCloud* next) {
        const std::size_t n = cloud.n;
        if (matrix_.size() < n * n) {
            matrix_.clear();
            matrix_.resize(n * n);
        }
        // Scratch is kept only where it is small beside what is allowed anyway.
        if (n <= FewPoints<Real>::kMost) {
            distances_.run(cloud, {}, DistanceOutput<Real>{.out = matrix_.data(), .n = n, .stride = n}, execution,
                           next);
        } else {
            pairwise_distances(cloud, metric_, matrix_.data(), n, execution);
        }
        return count_bars(DistanceMatrix<Real>{matrix_.data(), n, n}, threshold, min_persistence, execution);
    }

private:
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
    std::vector<Counter<Real>> counters;
    counters.reserve(whole_clouds ? n_threads : 1);
    for (std::size_t k = 0; k < (whole_clouds ? n_threads : 1); ++k) counters.emplace_back(metric, execution.budget);

    const auto run = [&](std::size_t i, int worker, const Execution& own) {
        const std::size_t next = i + counters.size();
        try {
            out[i] = counters[static_cast<std::size_t>(worker)].count(clouds[i], threshold, min_persistence, own,
                                                                      next < clouds.size() ? &clouds[next] : nullptr);
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
