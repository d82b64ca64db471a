#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "adabet/metric/device.hpp"
#include "adabet/metric/point_cloud.hpp"
#include "adabet/persistence/device_plan.hpp"
#include "bindings/arrays.hpp"
#include "bindings/execution.hpp"

namespace adabet::bindings {

/// One call's device: opened, so that it is the thread's current one, before anything is exported to it.
struct DeviceCall {
    DeviceCall(int which, std::size_t max_memory, std::size_t device_memory, int n_threads);
    DeviceCall(const DeviceCall&) = delete;
    DeviceCall& operator=(const DeviceCall&) = delete;
    /// Whatever went wrong: kernels under way still read the inputs, which their owners may use again from here on.
    ~DeviceCall() { device->wait(); }

    /// What a plan has to do with; throws DeviceOutOfMemory, naming both figures, where the device itself has less.
    [[nodiscard]] DeviceRoom room(const ArrayView& points) const;
    void refuse_beyond_free(std::size_t needed) const;

    std::unique_ptr<Device> device;
    int index;
    Call host;
    MemoryBudget budget;        ///< bytes of the device
    const Execution execution;  ///< with that budget
    std::vector<std::shared_ptr<void>> inputs;
};

/// An array that the device is going to read: in its memory, where that still holds it, or the host's.
[[nodiscard]] ArrayView view_input(DeviceCall& call, const pybind11::object& x);
[[nodiscard]] ArrayView view_points(DeviceCall& call, const pybind11::object& x);

/// Points in the device's memory: the caller's own, or a copy of contiguous ones from the host.
class PointsOnDevice {
public:
    PointsOnDevice(const DeviceCall& call, const ArrayView& view);
    [[nodiscard]] const PointCloud& points() const { return points_; }

private:
    PointCloud points_;
    std::optional<DeviceArray<std::byte>> copy_;
};

}  // namespace adabet::bindings
