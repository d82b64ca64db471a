#include "adabet/persistence/held_distances.hpp"

#include <utility>

#include "adabet/metric/device_tiles.hpp"
#include "adabet/rips/locality_order.hpp"

namespace adabet {

template <class Real>
HeldDistances<Real>::HeldDistances(const PointCloud& points, Metric metric, const MemoryPlan& plan,
                                   const Execution& execution)
    : order_(make_buffer<Vertex>(execution.budget)),
      matrix_(make_buffer<Real>(execution.budget)),
      distances_(DistanceMatrix<Real>{}) {
    const bool is_dense = plan.kind == PlanKind::dense;
    if (is_ordered_first(points)) {
        order_ = locality_order(*point_tiles<Real>(points, metric, {}, execution), execution);
    }
    if (is_dense) {
        matrix_.resize(points.n * points.n);
        pairwise_distances(points, metric, matrix_.data(), points.n, execution, order_);
        distances_ = Distances<Real>(DistanceMatrix<Real>{matrix_.data(), points.n, points.n});
    } else {
        tiles_ = point_tiles<Real>(points, metric, order_, execution);
        distances_ = Distances<Real>(*tiles_);
    }
}

template <class Real>
HeldDistances<Real>::HeldDistances(Device& device, const PointCloud& points, Metric metric, DevicePlanKind kind,
                                   const Execution& on_device, const Execution& execution)
    : order_(make_buffer<Vertex>(execution.budget)),
      matrix_(make_buffer<Real>(execution.budget)),
      distances_(DistanceMatrix<Real>{}) {
    const auto tiles = [&] {
        return std::make_unique<DeviceTiles<Real>>(device, points, metric, order_, on_device.budget, execution.budget,
                                                   execution.n_threads);
    };
    if (is_ordered_first(points)) order_ = locality_order(*tiles(), execution);
    if (kind == DevicePlanKind::streamed) {
        tiles_ = tiles();
        distances_ = Distances<Real>(*tiles_);
        return;
    }
    const std::size_t n = points.n;
    matrix_.resize(n * n);
    DevicePanels<Real>(device, points, metric, order_, on_device).read({0, n}, {0, n}, matrix_.data(), n);
    distances_ = Distances<Real>(DistanceMatrix<Real>{matrix_.data(), n, n});
}

template <class Real>
HeldDistances<Real>::HeldDistances(MatrixInput<Real> matrix, MemoryBudget& budget)
    : order_(make_buffer<Vertex>(budget)),
      matrix_(make_buffer<Real>(budget)),
      given_(std::make_unique<MatrixInput<Real>>(std::move(matrix))),
      distances_(given_->matrix()) {}

template <class Real>
HeldDistances<Real>::HeldDistances(std::unique_ptr<DistanceTiles<Real>> tiles, MemoryBudget& budget)
    : order_(make_buffer<Vertex>(budget)),
      matrix_(make_buffer<Real>(budget)),
      tiles_(std::move(tiles)),
      distances_(*tiles_) {}

template class HeldDistances<float>;
template class HeldDistances<double>;

}  // namespace adabet
