#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "adabet/metric/device_panels.hpp"
#include "adabet/metric/pairwise_device.hpp"
#include "bindings/device_call.hpp"
#include "bindings/device_matrix.hpp"
#include "bindings/inputs.hpp"
#include "bindings/register.hpp"

namespace py = pybind11;

namespace adabet::bindings {

namespace {

py::tuple devices() {
    std::string why_not;
    std::vector<DeviceInfo> found;
    {
        const GilReleased no_gil;
        found = cuda_devices(why_not);
    }
    py::list told;
    for (const DeviceInfo& info : found)
        told.append(py::make_tuple(info.name, info.major, info.minor, info.total_bytes, info.why_not));
    return py::make_tuple(why_not, told);
}

/// What distances that go to the host take of the device.
struct HostPlan {
    std::size_t resident;   ///< bytes with a matrix in its memory
    std::size_t by_panels;  ///< bytes at least, a panel at a time
    std::size_t available;
};

template <class Real>
HostPlan plan_for_host(const DeviceCall& call, const ArrayView& view, Metric metric) {
    const PointCloud cloud = view.points();
    const std::size_t n = cloud.n;
    const std::size_t copy = view.device >= 0 ? 0 : point_bytes(cloud);
    const bool in_double = sizeof(Real) == sizeof(double);
    if (square_bytes(n, sizeof(Real)) > std::numeric_limits<std::size_t>::max() / 2)
        throw DeviceBudgetExceeded(call.budget.limit(), square_bytes(n, sizeof(Real)), std::to_string(n) + " points");
    const HostPlan plan{
        .resident = copy + square_bytes(n, sizeof(Real)) + least_pairwise_device_bytes(cloud, metric, in_double),
        .by_panels = copy + least_panel_bytes(cloud, metric, sizeof(Real), 0),
        .available = std::min(call.budget.limit(), call.device->free_bytes())};
    const std::size_t least = std::min(plan.resident, plan.by_panels);
    if (least > plan.available) {
        call.refuse_beyond_free(least);
        throw DeviceBudgetExceeded(call.budget.limit(), least, std::to_string(n) + " points in the device's memory");
    }
    return plan;
}

/// By a matrix in the device's memory where there is room for one, by panels of rows otherwise, or where the room is gone
/// by the time it is asked for.
template <class Real>
void fill_on_host(DeviceCall& call, const ArrayView& view, Metric metric, const HostPlan& plan, Real* to) {
    const std::size_t n = view.shape[0];
    const PointsOnDevice points(call, view);
    if (plan.resident <= plan.available) {
        try {
            const DeviceArray<Real> matrix(*call.device, call.budget, n * n);
            adabet::pairwise_distances(*call.device, points.points(), metric, matrix.data(), n, call.execution);
            call.device->to_host(to, matrix.data(), n * n * sizeof(Real));
            return call.device->synchronize();
        } catch (const DeviceOutOfMemory&) {
            if (plan.by_panels > plan.available) throw;
        }
    }
    DevicePanels<Real>(*call.device, points.points(), metric, {}, call.execution).read({0, n}, {0, n}, to, n);
}

template <class Real>
py::object distances_on_host(DeviceCall& call, const ArrayView& view, Metric metric) {
    const auto n = static_cast<py::ssize_t>(view.shape[0]);
    const HostPlan plan = plan_for_host<Real>(call, view, metric);
    py::array_t<Real> out({n, n});
    Real* const to = out.mutable_data();
    const GilReleased no_gil;
    fill_on_host(call, view, metric, plan, to);
    return out;
}

template <class Real>
py::object distances_on_device(DeviceCall& call, const ArrayView& view, Metric metric, int index) {
    DeviceMatrixOwner owner;
    {
        const GilReleased no_gil;
        const PointsOnDevice points(call, view);
        MemoryBudget output;  // the result is not the engine's own memory
        const std::size_t n = view.shape[0];
        DeviceArray<Real> matrix(*call.device, output, n * n);
        adabet::pairwise_distances(*call.device, points.points(), metric, matrix.data(), n, call.execution);
        owner = {std::shared_ptr<void>(matrix.hand_over(), [](void* memory) { free_cuda_memory(memory); }), n,
                 sizeof(Real), index};
    }
    return py::cast(std::move(owner));
}

py::object device_distances(const py::object& x, int device, const std::string& metric, const std::string& dtype,
                            bool to_host, std::size_t device_memory) {
    const Metric chosen = metric_from_name(metric);
    DeviceCall call(device, std::numeric_limits<std::size_t>::max(), device_memory, 1);
    const ArrayView view = view_points(call, x);
    return with_real(dtype, [&](auto kind) -> py::object {
        using Real = decltype(kind);
        return to_host ? distances_on_host<Real>(call, view, chosen)
                       : distances_on_device<Real>(call, view, chosen, device);
    });
}

/// Seconds of one run on the device, over many without a wait between them: what a caller's own overhead leaves out.
double device_seconds(const py::object& x, int device, const std::string& metric, const std::string& dtype,
                      std::size_t repeats) {
    const Metric chosen = metric_from_name(metric);
    DeviceCall call(device, std::numeric_limits<std::size_t>::max(), std::numeric_limits<std::size_t>::max(), 1);
    const ArrayView view = view_points(call, x);
    return with_real(dtype, [&](auto kind) {
        using Real = decltype(kind);
        const GilReleased no_gil;
        const PointsOnDevice points(call, view);
        const std::size_t n = view.shape[0];
        const DeviceArray<Real> matrix(*call.device, call.budget, n * n);
        const auto run = [&] {
            return DistancesOnDevice<Real>(*call.device, points.points(), chosen, matrix.data(), n, call.execution);
        };
        run().finish();
        const auto start = std::chrono::steady_clock::now();
        for (std::size_t k = 1; k < repeats; ++k) static_cast<void>(run());
        run().finish();
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() /
               static_cast<double>(std::max<std::size_t>(1, repeats));
    });
}

}  // namespace

void register_device(py::module_& module) {
    register_device_matrix(module);
    register_device_homology(module);
    module.def("has_cuda_code", &has_cuda_code, "Whether this build has CUDA kernels.");
    module.def(
        "cuda_devices", &devices,
        "Why there is no GPU, and for each one: name, compute capability (two numbers), bytes, why it cannot run.");
    module.def("device_distances", &device_distances, py::arg("x"), py::kw_only(), py::arg("device"), py::arg("metric"),
               py::arg("dtype"), py::arg("to_host"), py::arg("device_memory"),
               "Distances of a point cloud (n, d) by a GPU: an array on the host, or a DeviceMatrix.");
    module.def("cuda_problem", &cuda_problem, py::arg("device"), "Why a GPU cannot be used; empty where it can.");
    module.def("device_seconds", &device_seconds, py::arg("x"), py::kw_only(), py::arg("device"), py::arg("metric"),
               py::arg("dtype"), py::arg("repeats"), "Seconds that distances take on a GPU, over many runs in a row.");
}

}  // namespace adabet::bindings
