#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "adabet/metric/load.hpp"
#include "adabet/metric/pairwise_device.hpp"
#include "adabet/persistence/device_h1.hpp"
#include "adabet/persistence/h1.hpp"
#include "bindings/arrays.hpp"
#include "bindings/barcodes.hpp"
#include "bindings/device_matrix.hpp"
#include "bindings/execution.hpp"
#include "bindings/inputs.hpp"
#include "bindings/register.hpp"

namespace py = pybind11;

namespace adabet::bindings {

namespace {

/// Up to this many points the host counts, on a copy of the distances: questions to a device would take longer.
constexpr std::size_t most_host_points = 512;
/// What small clouds that are worked on together may take, on the device and on the host.
constexpr std::size_t most_bytes_together = std::size_t{1} << 30;

/// One call's device: opened, so that it is the thread's current one, before anything is exported to it.
struct DeviceCall {
    DeviceCall(int which, std::size_t max_memory, std::size_t device_memory, int n_threads)
        : device(open_cuda_device(which)),
          index(which),
          host(max_memory, n_threads),
          budget(device_memory),
          execution{budget, 1, host.execution.checkpoint} {}
    DeviceCall(const DeviceCall&) = delete;
    DeviceCall& operator=(const DeviceCall&) = delete;
    /// Whatever went wrong: kernels under way still read the inputs, which their owners may use again from here on.
    ~DeviceCall() { device->wait(); }

    std::unique_ptr<Device> device;
    int index;
    Call host;
    MemoryBudget budget;        ///< bytes of the device
    const Execution execution;  ///< with that budget
    std::vector<std::shared_ptr<void>> inputs;
};

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

/// Points in the device's memory: the caller's own, or a copy of contiguous ones from the host.
class PointsOnDevice {
public:
    PointsOnDevice(const DeviceCall& call, const ArrayView& view) : points_(view.points()) {
        if (view.device >= 0 || points_.n == 0 || points_.d == 0) return;
        if (points_.coordinate_stride != 1 || points_.point_stride != static_cast<std::ptrdiff_t>(points_.d))
            throw InvalidInput("x must be contiguous to be copied to a device");
        const std::size_t bytes = points_.n * points_.d * size_of(points_.scalar);
        copy_.emplace(*call.device, call.execution.budget, bytes);
        call.device->to_device(copy_->data(), points_.data, bytes);
        points_.data = copy_->data();
    }
    [[nodiscard]] const PointCloud& points() const { return points_; }

private:
    PointCloud points_;
    std::optional<DeviceArray<std::byte>> copy_;
};

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

template <class Real>
py::object distances_on_host(DeviceCall& call, const ArrayView& view, Metric metric) {
    const auto n = static_cast<py::ssize_t>(view.shape[0]);
    py::array_t<Real> out({n, n});
    Real* const to = out.mutable_data();
    const GilReleased no_gil;
    const PointsOnDevice points(call, view);
    const std::size_t count = view.shape[0] * view.shape[0];
    const DeviceArray<Real> matrix(*call.device, call.budget, count);
    adabet::pairwise_distances(*call.device, points.points(), metric, matrix.data(), view.shape[0], call.execution);
    call.device->to_host(to, matrix.data(), count * sizeof(Real));
    call.device->synchronize();
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

/// Distances of a cloud on the device, and what the engine makes of them there, or of a copy on the host if they are few.
template <class Real, class OnHost, class OnDevice>
auto with_distances(DeviceCall& call, const ArrayView& view, Metric metric, OnHost&& on_host, OnDevice&& on_device) {
    const std::size_t n = view.shape[0];
    const PointsOnDevice points(call, view);
    const DeviceArray<Real> matrix(*call.device, call.budget, n * n);
    adabet::pairwise_distances(*call.device, points.points(), metric, matrix.data(), n, call.execution);
    if (n <= most_host_points) {
        auto copy = make_buffer<Real>(call.host.execution.budget, n * n);
        call.device->to_host(copy.data(), matrix.data(), n * n * sizeof(Real));
        call.device->synchronize();
        return on_host(DistanceMatrix<Real>{copy.data(), n, n});
    }
    const auto launches = cuda_lune_launches<Real>(*call.device);
    DeviceRips<Real> rips(*call.device, *launches, {matrix.data(), n, n}, call.execution);
    return on_device(rips);
}

py::dict device_h1(const py::object& x, int device, const std::string& metric, double threshold,
                   const std::string& dtype, int n_threads, std::size_t max_memory, std::size_t device_memory) {
    const Metric chosen = metric_from_name(metric);
    DeviceCall call(device, max_memory, device_memory, n_threads);
    const ArrayView view = view_points(call, x);
    return with_real(dtype, [&](auto kind) {
        using Real = decltype(kind);
        const auto limit = to_real<Real>(threshold);
        std::optional<Barcode<Real>> barcode;
        const auto start = std::chrono::steady_clock::now();
        double seconds_distances = 0;
        const auto have_distances = [&] {
            seconds_distances = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        };
        {
            const GilReleased no_gil;
            with_distances<Real>(
                call, view, chosen,
                [&](const DistanceMatrix<Real>& matrix) {
                    have_distances();
                    barcode = adabet::h1(matrix, limit, call.host.execution);
                },
                [&](DeviceRips<Real>& rips) {
                    have_distances();
                    barcode = h1_on_device(rips, limit, call.host.execution);
                });
        }
        py::dict out =
            barcode_dict(*barcode, view.shape[0], "dense", seconds_distances, call.host.execution.budget.peak());
        out["stats"]["peak_device_bytes"] = call.budget.peak();
        return out;
    });
}

InvalidInput of_cloud(std::size_t i, const InvalidInput& e) {
    return InvalidInput("cloud " + std::to_string(i) + ": " + e.what());
}

/// Small clouds in one go: all distances are asked for before any is waited for.
template <class Real>
void count_small(DeviceCall& call, const std::vector<ArrayView>& views, std::span<const std::size_t> small,
                 Metric metric, Real threshold, Real min_persistence, std::size_t* counts) {
    std::vector<std::size_t> starts;
    std::size_t total = 0;
    for (const std::size_t i : small) {
        starts.push_back(total);
        total += views[i].shape[0] * views[i].shape[0];
    }
    const DeviceArray<Real> matrices(*call.device, call.budget, total);
    std::vector<std::unique_ptr<PointsOnDevice>> points;
    std::vector<std::unique_ptr<DistancesOnDevice<Real>>> runs;
    for (std::size_t k = 0; k < small.size(); ++k) {
        points.push_back(std::make_unique<PointsOnDevice>(call, views[small[k]]));
        runs.push_back(std::make_unique<DistancesOnDevice<Real>>(*call.device, points.back()->points(), metric,
                                                                 matrices.data() + starts[k], views[small[k]].shape[0],
                                                                 call.execution));
    }
    auto copies = make_buffer<Real>(call.host.execution.budget, total);
    call.device->to_host(copies.data(), matrices.data(), total * sizeof(Real));
    for (std::size_t k = 0; k < small.size(); ++k) {
        try {
            runs[k]->finish();
        } catch (const InvalidInput& e) {
            throw of_cloud(small[k], e);
        }
    }
    parallel_for(call.host.execution, small.size(), [&](std::size_t k, int, const Execution& own) {
        const std::size_t n = views[small[k]].shape[0];
        counts[small[k]] =
            count_bars(DistanceMatrix<Real>{copies.data() + starts[k], n, n}, threshold, min_persistence, own);
    });
}

/// How many of these clouds go together: their distances, and copies of points, in a fraction of what a call may take.
template <class Real>
std::size_t in_one_go(const DeviceCall& call, const std::vector<ArrayView>& views, std::span<const std::size_t> small) {
    const std::size_t most =
        std::min({most_bytes_together, call.budget.limit() / 4, call.host.execution.budget.limit() / 4});
    std::size_t bytes = 0;
    std::size_t count = 0;
    while (count < small.size()) {
        const ArrayView& view = views[small[count]];
        bytes += view.shape[0] * view.shape[0] * sizeof(Real);
        if (view.device < 0) bytes += view.shape[0] * view.shape[1] * size_of(view.scalar);
        if (count > 0 && bytes > most) break;
        ++count;
    }
    return count;
}

py::array_t<std::int64_t> device_betti1_batch(const py::object& xs, int device, const std::string& metric,
                                              double threshold, double min_persistence, const std::string& dtype,
                                              int n_threads, std::size_t max_memory, std::size_t device_memory) {
    const Metric chosen = metric_from_name(metric);
    DeviceCall call(device, max_memory, device_memory, n_threads);
    std::vector<ArrayView> views;
    if (py::isinstance<py::list>(xs)) {
        for (const py::handle x : xs) {
            try {
                views.push_back(view_points(call, py::reinterpret_borrow<py::object>(x)));
            } catch (const InvalidInput& e) {
                throw of_cloud(views.size(), e);
            }
        }
    } else {
        const ArrayView stack = view_input(call, xs);
        if (stack.ndim != 3) throw InvalidInput("xs must have 3 axes (b, n, d)");
        for (std::size_t i = 0; i < stack.shape[0]; ++i) views.push_back(stack.at(i));
    }
    std::vector<std::size_t> counts(views.size());
    with_real(dtype, [&](auto kind) {
        using Real = decltype(kind);
        const auto limit = to_real<Real>(threshold);
        const auto least = to_real<Real>(min_persistence);
        const GilReleased no_gil;
        std::vector<std::size_t> small;
        for (std::size_t i = 0; i < views.size(); ++i)
            if (views[i].shape[0] <= most_host_points) small.push_back(i);
        for (std::span<const std::size_t> left = small; !left.empty();) {
            const std::size_t count = in_one_go<Real>(call, views, left);
            count_small<Real>(call, views, left.first(count), chosen, limit, least, counts.data());
            left = left.subspan(count);
        }
        for (std::size_t i = 0; i < views.size(); ++i) {
            if (views[i].shape[0] <= most_host_points) continue;
            try {
                counts[i] = with_distances<Real>(
                    call, views[i], chosen,
                    [&](const DistanceMatrix<Real>& matrix) {
                        return count_bars(matrix, limit, least, call.host.execution);
                    },
                    [&](DeviceRips<Real>& rips) {
                        return count_bars_on_device(rips, limit, least, call.host.execution);
                    });
            } catch (const InvalidInput& e) {
                throw of_cloud(i, e);
            }
        }
    });
    py::array_t<std::int64_t> out(static_cast<py::ssize_t>(counts.size()));
    std::copy(counts.begin(), counts.end(), out.mutable_data());
    return out;
}

}  // namespace

void register_device(py::module_& module) {
    register_device_matrix(module);
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
    module.def("device_h1", &device_h1, py::arg("x"), py::kw_only(), py::arg("device"), py::arg("metric"),
               py::arg("threshold"), py::arg("dtype"), py::arg("n_threads"), py::arg("max_memory"),
               py::arg("device_memory"), "The barcode of a point cloud by a GPU, as h1 gives it.");
    module.def("device_betti1_batch", &device_betti1_batch, py::arg("xs"), py::kw_only(), py::arg("device"),
               py::arg("metric"), py::arg("threshold"), py::arg("min_persistence"), py::arg("dtype"),
               py::arg("n_threads"), py::arg("max_memory"), py::arg("device_memory"),
               "Number of H1 bars of each cloud of a list, or of a stack (b, n, d), by a GPU.");
}

}  // namespace adabet::bindings
