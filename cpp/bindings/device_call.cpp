#include "bindings/device_call.hpp"

#include <algorithm>
#include <string>

#include "adabet/errors.hpp"

namespace py = pybind11;

namespace adabet::bindings {

namespace {

/// Whether the device has the memory of an array from its first entry to its last.
bool holds(Device& device, const ArrayView& view) {
    const auto bytes = static_cast<std::ptrdiff_t>(size_of(view.scalar));
    std::ptrdiff_t first = 0;
    std::ptrdiff_t last = bytes - 1;
    for (std::size_t k = 0; k < view.ndim; ++k) {
        if (view.shape[k] == 0) return true;
        const std::ptrdiff_t reach = static_cast<std::ptrdiff_t>(view.shape[k] - 1) * view.strides[k] * bytes;
        (reach < 0 ? first : last) += reach;
    }
    const auto* const data = static_cast<const char*>(view.data);
    return device.holds(data + first) && device.holds(data + last);
}

}  // namespace

DeviceCall::DeviceCall(int which, std::size_t max_memory, std::size_t device_memory, int n_threads)
    : device(open_cuda_device(which)),
      index(which),
      host(max_memory, n_threads),
      budget(device_memory),
      execution{budget, 1, host.execution.checkpoint} {}

DeviceRoom DeviceCall::room(const ArrayView& points) const {
    return {.device_bytes = std::min(budget.limit(), device->free_bytes()),
            .host_bytes = host.execution.budget.limit(),
            .multiprocessors = device->multiprocessors(),
            .n_threads = host.execution.n_threads,
            .points_are_there = points.device >= 0};
}

void DeviceCall::refuse_beyond_free(std::size_t needed) const {
    const std::size_t free = device->free_bytes();
    if (needed > free && needed <= budget.limit())
        throw DeviceOutOfMemory("CUDA device " + std::to_string(index), needed, free);
}

ArrayView view_input(DeviceCall& call, const py::object& x) {
    ArrayView view = view_array_on_device(x, call.index, call.device->stream());
    call.inputs.push_back(view.owner);
    if (view.device >= 0 && !holds(*call.device, view))
        throw InvalidInput("x is not in the memory of CUDA device " + std::to_string(call.index) + "; was it freed?");
    return view;
}

ArrayView view_points(DeviceCall& call, const py::object& x) {
    ArrayView view = view_input(call, x);
    if (view.ndim != 2) throw InvalidInput("x has " + std::to_string(view.ndim) + " axes, expected 2");
    return view;
}

PointsOnDevice::PointsOnDevice(const DeviceCall& call, const ArrayView& view) : points_(view.points()) {
    if (view.device >= 0 || points_.n == 0 || points_.d == 0) return;
    if (points_.coordinate_stride != 1 || points_.point_stride != static_cast<std::ptrdiff_t>(points_.d))
        throw InvalidInput("x must be contiguous to be copied to a device");
    const std::size_t bytes = point_bytes(points_);
    copy_.emplace(*call.device, call.execution.budget, bytes);
    call.device->to_device(copy_->data(), points_.data, bytes);
    points_.data = copy_->data();
}

}  // namespace adabet::bindings
