#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "adabet/metric/load.hpp"
#include "adabet/metric/pairwise_device.hpp"
#include "adabet/persistence/device_h1.hpp"
#include "adabet/persistence/device_plan.hpp"
#include "adabet/persistence/h1.hpp"
#include "adabet/persistence/held_distances.hpp"
#include "bindings/barcodes.hpp"
#include "bindings/device_call.hpp"
#include "bindings/inputs.hpp"
#include "bindings/register.hpp"

namespace py = pybind11;

namespace adabet::bindings {

namespace {

/// What small clouds that are worked on together may take, on the device and on the host.
constexpr std::size_t most_bytes_together = std::size_t{1} << 30;

/// The matrix in the device's memory, and what the engine makes of it there, or of a copy on the host if points are few.
template <class Real, class OnHost, class OnDevice>
void with_matrix_there(DeviceCall& call, const PointsOnDevice& points, Metric metric, OnHost&& on_host,
                       OnDevice&& on_device) {
    const std::size_t n = points.points().n;
    const DeviceArray<Real> matrix(*call.device, call.budget, n * n);
    adabet::pairwise_distances(*call.device, points.points(), metric, matrix.data(), n, call.execution);
    if (n > most_host_points) {
        const auto launches = cuda_lune_launches<Real>(*call.device);
        DeviceRips<Real> rips(*call.device, *launches, {matrix.data(), n, n}, call.execution);
        return on_device(rips);
    }
    auto copy = make_buffer<Real>(call.host.execution.budget, n * n);
    call.device->to_host(copy.data(), matrix.data(), n * n * sizeof(Real));
    call.device->synchronize();
    on_host(Distances<Real>(DistanceMatrix<Real>{copy.data(), n, n}), {}, DevicePlanKind::on_device);
}

/// Distances of a cloud by the plan for it. Where the device has less memory than it said, or lists turn out longer than is
/// usual, the next plan takes over.
template <class Real, class OnHost, class OnDevice>
void with_distances(DeviceCall& call, const ArrayView& view, Metric metric, OnHost&& on_host, OnDevice&& on_device) {
    const PointCloud cloud = view.points();
    const auto plan_for = [&](bool may_be_on_device) {
        const DeviceRoom room = call.room(view);
        const DevicePlan plan = plan_on_device(cloud, metric, sizeof(Real), room, may_be_on_device);
        call.refuse_beyond_free(plan.device);
        refuse_beyond(plan, cloud, room);
        return plan;
    };
    DevicePlan plan = plan_for(true);
    std::optional<PointsOnDevice> points(std::in_place, call, view);
    if (plan.kind == DevicePlanKind::on_device) {
        try {
            return with_matrix_there<Real>(call, *points, metric, on_host, on_device);
        } catch (const DeviceOutOfMemory&) {
            points.reset();
        } catch (const DeviceBudgetExceeded&) {
            points.reset();
        }
        plan = plan_for(false);
        points.emplace(call, view);
    }
    const Execution& execution = call.host.execution;
    const HeldDistances<Real> held(*call.device, points->points(), metric, plan.kind, call.execution, execution);
    on_host(held.distances(), held.order(), plan.kind);
}

const char* name_of(DevicePlanKind kind, PlanKind run) {
    if (run == PlanKind::sparse) return "sparse";
    if (kind == DevicePlanKind::on_host) return "panels";
    return kind == DevicePlanKind::streamed ? "streamed" : "dense";
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
        std::string plan;
        const auto start = std::chrono::steady_clock::now();
        double seconds_distances = 0;
        const auto have_distances = [&] {
            seconds_distances = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        };
        {
            const GilReleased no_gil;
            with_distances<Real>(
                call, view, chosen,
                [&](const Distances<Real>& distances, std::span<const Vertex> order, DevicePlanKind where) {
                    have_distances();
                    barcode = adabet::h1(distances, limit, call.host.execution, {.order = order});
                    plan = name_of(where, barcode->plan);
                },
                [&](DeviceRips<Real>& rips) {
                    have_distances();
                    barcode = h1_on_device(rips, limit, call.host.execution);
                    plan = name_of(DevicePlanKind::on_device, PlanKind::dense);
                });
        }
        py::dict out =
            barcode_dict(*barcode, view.shape[0], plan, seconds_distances, call.host.execution.budget.peak());
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
                with_distances<Real>(
                    call, views[i], chosen,
                    [&](const Distances<Real>& distances, std::span<const Vertex>, DevicePlanKind) {
                        counts[i] = count_bars(distances, limit, least, call.host.execution);
                    },
                    [&](DeviceRips<Real>& rips) {
                        counts[i] = count_bars_on_device(rips, limit, least, call.host.execution);
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

/// The plan's name, its bytes on the host, and on the device.
py::tuple device_plan(std::size_t n, std::size_t d, const std::string& metric, const std::string& dtype, int n_threads,
                      std::size_t max_memory, std::size_t device_memory) {
    const Metric chosen = metric_from_name(metric);
    const DevicePlan plan = with_real(dtype, [&](auto kind) {
        const PointCloud points{nullptr, ScalarType::float32, n, d, static_cast<std::ptrdiff_t>(d), 1};
        // As on a large GPU: its lists for more blocks take more.
        const DeviceRoom room{device_memory, max_memory, 160, n_threads, true};
        return plan_on_device(points, chosen, sizeof(kind), room);
    });
    return py::make_tuple(name_of(plan.kind, PlanKind::dense), plan.host, plan.device);
}

}  // namespace

void register_device_homology(py::module_& module) {
    module.def("device_h1", &device_h1, py::arg("x"), py::kw_only(), py::arg("device"), py::arg("metric"),
               py::arg("threshold"), py::arg("dtype"), py::arg("n_threads"), py::arg("max_memory"),
               py::arg("device_memory"), "The barcode of a point cloud by a GPU, as h1 gives it.");
    module.def("device_betti1_batch", &device_betti1_batch, py::arg("xs"), py::kw_only(), py::arg("device"),
               py::arg("metric"), py::arg("threshold"), py::arg("min_persistence"), py::arg("dtype"),
               py::arg("n_threads"), py::arg("max_memory"), py::arg("device_memory"),
               "Number of H1 bars of each cloud of a list, or of a stack (b, n, d), by a GPU.");
    module.def("device_plan", &device_plan, py::arg("n"), py::arg("d"), py::kw_only(), py::arg("metric"),
               py::arg("dtype"), py::arg("n_threads"), py::arg("max_memory"), py::arg("device_memory"),
               "The plan for n points in d coordinates in a GPU's memory, and its fixed bytes on host and GPU.");
}

}  // namespace adabet::bindings
