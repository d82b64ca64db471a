#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "adabet/isa.hpp"
#include "adabet/metric/cloud_runner.hpp"
#include "adabet/metric/pairwise.hpp"

namespace adabet {

namespace {

/// Threads at work on clouds of their own; 1: clouds in turn, each by all threads that it is worth.
int threads_over_clouds(std::span<const PointCloud> clouds, Metric metric, std::size_t real_size, int n_threads) {
    double all = 0.0;
    bool shared_out = false;
    for (const PointCloud& cloud : clouds) {
        all += differences_of(cloud);
        shared_out |= plan_pairwise(cloud, metric, real_size, n_threads).workers > 1;
    }
    const int threads =
        std::min(worthwhile_threads(all, n_threads), static_cast<int>(std::min<std::size_t>(clouds.size(), 1024)));
    const bool few = clouds.size() < 2 * static_cast<std::size_t>(std::max(1, n_threads));
    return few && shared_out ? 1 : std::max(1, threads);
}

}  // namespace

template <class Real>
void pairwise_distances_batch(std::span<const PointCloud> clouds, Metric metric, MatrixForm form,
                              std::span<Real* const> outs, const Execution& execution) {
    execution.check();
    const Isa isa = active_isa();
    const int threads = threads_over_clouds(clouds, metric, sizeof(Real), execution.n_threads);
    std::vector<CloudRunner<Real>> runners;
    runners.reserve(static_cast<std::size_t>(threads));
    for (int k = 0; k < threads; ++k) runners.emplace_back(isa, metric, execution.budget);
    const auto run = [&](std::size_t i, int worker, const Execution& own) {
        const std::size_t n = clouds[i].n;
        const std::size_t next = i + static_cast<std::size_t>(threads);
        try {
            runners[static_cast<std::size_t>(worker)].run(clouds[i], {},
                                                          {.out = outs[i], .n = n, .stride = n, .form = form}, own,
                                                          next < clouds.size() ? &clouds[next] : nullptr);
        } catch (const InvalidInput& error) {
            throw InvalidInput("cloud " + std::to_string(i) + ": " + error.what());
        }
    };
    if (threads > 1) {
        const Execution part{.budget = execution.budget, .n_threads = threads, .checkpoint = execution.checkpoint};
        return parallel_for(part, clouds.size(), run);
    }
    for (std::size_t i = 0; i < clouds.size(); ++i) {
        execution.check();
        run(i, 0, execution);
    }
}

std::size_t pairwise_distances_batch_bytes(std::span<const PointCloud> clouds, Metric metric, std::size_t real_size,
                                           int n_threads) {
    const int threads = threads_over_clouds(clouds, metric, real_size, n_threads);
    std::size_t most = 0;
    for (const PointCloud& cloud : clouds)
        most = std::max(most, pairwise_distances_bytes(cloud, metric, real_size, threads > 1 ? 1 : n_threads));
    return static_cast<std::size_t>(threads) * most;
}

template void pairwise_distances_batch<float>(std::span<const PointCloud>, Metric, MatrixForm, std::span<float* const>,
                                              const Execution&);
template void pairwise_distances_batch<double>(std::span<const PointCloud>, Metric, MatrixForm,
                                               std::span<double* const>, const Execution&);

}  // namespace adabet
