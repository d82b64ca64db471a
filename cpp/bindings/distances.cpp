#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "bindings/execution.hpp"
#include "bindings/inputs.hpp"
#include "bindings/openmp.hpp"
#include "bindings/register.hpp"

namespace py = pybind11;

namespace adabet::bindings {

namespace {

template <class Real>
py::array condensed_distances(const PointCloud& points, Metric metric, const Execution& execution) {
    const std::size_t n = points.n;
    py::array_t<Real> out(static_cast<py::ssize_t>(n < 2 ? 0 : n * (n - 1) / 2));
    Real* to = out.mutable_data();
    const GilReleased no_gil;
    Buffer<Real> square = make_buffer<Real>(execution.budget, n * n);
    adabet::pairwise_distances(points, metric, square.data(), n, execution);
    for (std::size_t i = 0; i + 1 < n; ++i)
        to = std::copy(square.data() + i * n + i + 1, square.data() + (i + 1) * n, to);
    return out;
}

template <class Real>
py::array square_distances(const PointCloud& points, Metric metric, const Execution& execution) {
    const auto n = static_cast<py::ssize_t>(points.n);
    py::array_t<Real> out({n, n});
    Real* const to = out.mutable_data();
    const GilReleased no_gil;
    adabet::pairwise_distances(points, metric, to, points.n, execution);
    return out;
}

py::array pairwise_distances(const py::object& x, const std::string& metric, const std::string& dtype, bool condensed,
                             int n_threads, std::size_t max_memory, int openmp_team) {
    const Input input(x, false);
    const Metric chosen = metric_from_name(metric);
    const Call call(max_memory, n_threads, py::none(), openmp_team > 1 ? openmp_lender(openmp_team) : Lender());
    return with_real(dtype, [&](auto kind) {
        using Real = decltype(kind);
        const std::size_t n = input.n();
        // The square is the output, or beside a condensed output half as large the memory in which it is made.
        const std::size_t square = square_bytes(n, sizeof(Real));
        refuse_beyond_budget(square, n, call.execution);
        const std::size_t working = pairwise_distances_bytes(input.points(), chosen, sizeof(Real), n_threads);
        refuse_beyond_budget(square + (condensed ? square / 2 : 0) + working, n, call.execution);
        return condensed ? condensed_distances<Real>(input.points(), chosen, call.execution)
                         : square_distances<Real>(input.points(), chosen, call.execution);
    });
}

py::array canonical_matrix(const py::object& x, const std::string& dtype, int n_threads, std::size_t max_memory) {
    const Input input(x, true);
    const Call call(max_memory, n_threads);
    return with_real(dtype, [&](auto kind) -> py::array {
        using Real = decltype(kind);
        const std::size_t n = input.n();
        refuse_beyond_budget(square_bytes(n, sizeof(Real)), n, call.execution);
        py::array_t<Real> out({static_cast<py::ssize_t>(n), static_cast<py::ssize_t>(n)});
        Real* const to = out.mutable_data();
        const GilReleased no_gil;
        const HeldDistances<Real> held = input.distances<Real>(Metric::euclidean, call.execution, PlanKind::dense);
        for (std::size_t i = 0; i < n; ++i) std::copy_n(held.distances().matrix().row(i), n, to + i * n);
        return out;
    });
}

std::vector<std::string> names() {
    const auto known = metric_names();
    return {known.begin(), known.end()};
}

}  // namespace

void register_distances(py::module_& module) {
    module.def("metric_names", &names, "Metrics with a native kernel.");
    module.def(
        "pairwise_distances", &pairwise_distances, py::arg("x"), py::kw_only(), py::arg("metric"), py::arg("dtype"),
        py::arg("condensed"), py::arg("n_threads"), py::arg("max_memory"), py::arg("openmp_team") = 0,
        "Distances of a point cloud (n, d), as a square (n, n) or a condensed matrix. openmp_team: threads of the "
        "team that the caller has in the process's OpenMP runtime, to compute on; 0 or 1: on threads of our own.");
    module.def("canonical_matrix", &canonical_matrix, py::arg("x"), py::kw_only(), py::arg("dtype"),
               py::arg("n_threads"), py::arg("max_memory"),
               "A copy of a caller's distance matrix as the engine reads it: square, symmetric, checked.");
}

}  // namespace adabet::bindings
