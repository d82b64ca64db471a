#pragma once

#include <memory>
#include <span>

#include "adabet/metric/device.hpp"
#include "adabet/metric/matrix_input.hpp"
#include "adabet/persistence/device_plan.hpp"
#include "adabet/persistence/plan.hpp"
#include "adabet/rips/distances.hpp"

namespace adabet {

/// Distances kept as a plan says, and the order of the points in them.
template <class Real>
class HeldDistances {
public:
    HeldDistances(const PointCloud& points, Metric metric, const MemoryPlan& plan, const Execution& execution);
    /// Of points in a device's memory, by it: as a matrix on the host, or streamed. `on_device` counts the device's bytes.
    HeldDistances(Device& device, const PointCloud& points, Metric metric, DevicePlanKind kind,
                  const Execution& on_device, const Execution& execution);
    explicit HeldDistances(MatrixInput<Real> matrix, MemoryBudget& budget);
    HeldDistances(std::unique_ptr<DistanceTiles<Real>> tiles, MemoryBudget& budget);

    [[nodiscard]] const Distances<Real>& distances() const { return distances_; }
    /// The row of each point; empty where they stand as they came.
    [[nodiscard]] std::span<const Vertex> order() const { return order_; }

private:
    Buffer<Vertex> order_;
    Buffer<Real> matrix_;
    std::unique_ptr<MatrixInput<Real>> given_;
    std::unique_ptr<DistanceTiles<Real>> tiles_;
    Distances<Real> distances_;
};

}  // namespace adabet
