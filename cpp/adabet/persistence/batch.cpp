#include "adabet/persistence/batch.hpp"

#include <algorithm>
#include <string>

#include "adabet/errors.hpp"
#include "adabet/persistence/h1.hpp"

namespace adabet {

namespace {

template <class Real>
std::size_t count_bars_of(const PointCloud& cloud, Metric metric, Real threshold, Real min_persistence,
                          Buffer<Real>& matrix, const Execution& execution) {
    const std::size_t n = cloud.n;
    if (matrix.size() < n * n) {
        matrix.clear();
        matrix.resize(n * n);
    }
    pairwise_distances(cloud, metric, matrix.data(), n, execution);
    return count_bars(DistanceMatrix<Real>{matrix.data(), n, n}, threshold, min_persistence, execution);
}

}  // namespace

template <class Real>
void betti1_batch(std::span<const PointCloud> clouds, Metric metric, Real threshold, Real min_persistence,
                  std::size_t* out, const Execution& execution) {
    const auto n_threads = static_cast<std::size_t>(std::max(1, execution.n_threads));
    const bool whole_clouds = n_threads > 1 && clouds.size() >= 2 * n_threads;
    std::vector<Buffer<Real>> matrices(whole_clouds ? n_threads : 1, make_buffer<Real>(execution.budget));

    const auto run = [&](std::size_t i, int worker, const Execution& own) {
        try {
            out[i] = count_bars_of(clouds[i], metric, threshold, min_persistence,
                                   matrices[static_cast<std::size_t>(worker)], own);
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
