#include "adabet/metric/pairwise.hpp"

#include <array>
#include <string>
#include <utility>

#include "adabet/metric/cloud_runner.hpp"
#include "adabet/metric/pairwise_on.hpp"

namespace adabet {

namespace {

constexpr std::array<std::pair<std::string_view, Metric>, 6> named_metrics{{{"euclidean", Metric::euclidean},
                                                                            {"sqeuclidean", Metric::sqeuclidean},
                                                                            {"cityblock", Metric::cityblock},
                                                                            {"chebyshev", Metric::chebyshev},
                                                                            {"cosine", Metric::cosine},
                                                                            {"correlation", Metric::correlation}}};

}  // namespace

Metric metric_from_name(std::string_view name) {
    std::string known;
    for (const auto& [metric_name, metric] : named_metrics) {
        if (metric_name == name) return metric;
        known += known.empty() ? "" : ", ";
        known += metric_name;
    }
    throw InvalidInput("metric: got '" + std::string(name) + "', expected one of " + known);
}

std::vector<std::string_view> metric_names() {
    std::vector<std::string_view> names;
    names.reserve(named_metrics.size());
    for (const auto& [metric_name, metric] : named_metrics) names.push_back(metric_name);
    return names;
}

template <class Real>
void pairwise_distances_on(Isa isa, const PointCloud& points, Metric metric, Real* out, std::size_t stride,
                           const Execution& execution, std::span<const Vertex> order) {
    execution.check();
    const PointOrder places(order);
    places.check(points.n);
    const DistanceOutput<Real> square{.out = out, .n = places.count(points.n), .stride = stride};
    CloudRunner<Real>(isa, metric, execution.budget).run(points, order, square, execution);
}

template <class Real>
void pairwise_distances(const PointCloud& points, Metric metric, Real* out, std::size_t stride,
                        const Execution& execution, std::span<const Vertex> order) {
    pairwise_distances_on(active_isa(), points, metric, out, stride, execution, order);
}

template <class Real>
void pairwise_distances(const PointCloud& points, Metric metric, const DistanceOutput<Real>& out,
                        const Execution& execution) {
    execution.check();
    CloudRunner<Real>(active_isa(), metric, execution.budget).run(points, {}, out, execution);
}

std::size_t pairwise_distances_bytes(const PointCloud& points, Metric metric, std::size_t real_size, int n_threads) {
    return plan_pairwise(points, metric, real_size, n_threads).bytes;
}

template void pairwise_distances_on<float>(Isa, const PointCloud&, Metric, float*, std::size_t, const Execution&,
                                           std::span<const Vertex>);
template void pairwise_distances_on<double>(Isa, const PointCloud&, Metric, double*, std::size_t, const Execution&,
                                            std::span<const Vertex>);
template void pairwise_distances<float>(const PointCloud&, Metric, float*, std::size_t, const Execution&,
                                        std::span<const Vertex>);
template void pairwise_distances<double>(const PointCloud&, Metric, double*, std::size_t, const Execution&,
                                         std::span<const Vertex>);
template void pairwise_distances(const PointCloud&, Metric, const DistanceOutput<float>&, const Execution&);
template void pairwise_distances(const PointCloud&, Metric, const DistanceOutput<double>&, const Execution&);

}  // namespace adabet
