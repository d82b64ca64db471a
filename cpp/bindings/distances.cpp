#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/execution.hpp"
#include "bindings/inputs.hpp"
#include "bindings/openmp.hpp"
#include "bindings/register.hpp"

namespace py = pybind11;

namespace adabet::bindings {

namespace {

/// An array of float32 or float64 in that form, for each of `count` clouds of n points where there is a stack of them.
template <class Real>
py::array_t<Real> empty_matrices(MatrixForm form, std::size_t n, std::optional<std::size_t> count = {}) {
    std::vector<py::ssize_t> shape;
    if (count) shape.push_back(static_cast<py::ssize_t>(*count));
    if (form == MatrixForm::square) {
        shape.insert(shape.end(), 2, static_cast<py::ssize_t>(n));
    } else {
        shape.push_back(static_cast<py::ssize_t>(entries_of(form, n)));
    }
    return py::array_t<Real>(shape);
}

MatrixForm form_of(bool condensed) { return condensed ? MatrixForm::condensed : MatrixForm::square; }

/// Bytes of a matrix. Saturates.
std::size_t matrix_bytes(MatrixForm form, std::size_t n, std::size_t real_size) {
    const std::size_t square = square_bytes(n, real_size);
    return form == MatrixForm::square || square == std::numeric_limits<std::size_t>::max()
               ? square
               : entries_of(form, n) * real_size;
}

std::size_t saturating_sum(std::size_t a, std::size_t b) {
    return a > std::numeric_limits<std::size_t>::max() - b ? std::numeric_limits<std::size_t>::max() : a + b;
}

py::array pairwise_distances(const py::object& x, const std::string& metric, const std::string& dtype, bool condensed,
                             int n_threads, std::size_t max_memory, int openmp_team) {
    const Input input(x, false);
    const Metric chosen = metric_from_name(metric);
    const Call call(max_memory, n_threads, py::none(), openmp_team > 1 ? openmp_lender(openmp_team) : Lender());
    const MatrixForm form = form_of(condensed);
    return with_real(dtype, [&](auto kind) -> py::array {
        using Real = decltype(kind);
        const std::size_t n = input.n();
        const std::size_t output = matrix_bytes(form, n, sizeof(Real));
        refuse_beyond_budget(output, n, call.execution);
        const std::size_t working = pairwise_distances_bytes(input.points(), chosen, sizeof(Real), n_threads);
        refuse_beyond_budget(saturating_sum(output, working), n, call.execution);
        py::array_t<Real> out = empty_matrices<Real>(form, n);
        const DistanceOutput<Real> to{.out = out.mutable_data(), .n = n, .stride = n, .form = form};
        const GilReleased no_gil;
        adabet::pairwise_distances(input.points(), chosen, to, call.execution);
        return out;
    });
}

/// Of a stack one array; of a list of clouds a list of arrays.
py::object pairwise_distances_batch(const py::object& xs, const std::string& metric, const std::string& dtype,
                                    bool condensed, int n_threads, std::size_t max_memory) {
    const std::vector<Input> inputs = read_clouds(xs, false);
    const Metric chosen = metric_from_name(metric);
    const Call call(max_memory, n_threads);
    const MatrixForm form = form_of(condensed);
    std::vector<PointCloud> clouds;
    clouds.reserve(inputs.size());
    for (const Input& input : inputs) clouds.push_back(input.points());
    return with_real(dtype, [&](auto kind) -> py::object {
        using Real = decltype(kind);
        std::size_t needed = 0;
        for (const PointCloud& cloud : clouds)
            needed = saturating_sum(needed, matrix_bytes(form, cloud.n, sizeof(Real)));
        const std::size_t working = pairwise_distances_batch_bytes(clouds, chosen, sizeof(Real), n_threads);
        needed = saturating_sum(needed, working);
        if (needed > call.execution.budget.limit())
            throw BudgetExceeded(call.execution.budget.limit(), needed,
                                 "the distances of " + std::to_string(clouds.size()) + " clouds");
        std::vector<Real*> outs;
        outs.reserve(clouds.size());
        py::object result;
        if (py::isinstance<py::list>(xs)) {
            py::list matrices;
            for (const PointCloud& cloud : clouds) {
                py::array_t<Real> matrix = empty_matrices<Real>(form, cloud.n);
                outs.push_back(matrix.mutable_data());
                matrices.append(std::move(matrix));
            }
            result = std::move(matrices);
        } else {
            const std::size_t n = view_array(xs).shape[1];
            py::array_t<Real> stack = empty_matrices<Real>(form, n, clouds.size());
            for (std::size_t i = 0; i < clouds.size(); ++i)
                outs.push_back(stack.mutable_data() + i * entries_of(form, n));
            result = std::move(stack);
        }
        const GilReleased no_gil;
        adabet::pairwise_distances_batch<Real>(clouds, chosen, form, outs, call.execution);
        return result;
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
    module.def("pairwise_distances_batch", &pairwise_distances_batch, py::arg("xs"), py::kw_only(), py::arg("metric"),
               py::arg("dtype"), py::arg("condensed"), py::arg("n_threads"), py::arg("max_memory"),
               "Distances of each cloud of a stack (b, n, d), as one array, or of a list, as a list of arrays.");
    module.def("canonical_matrix", &canonical_matrix, py::arg("x"), py::kw_only(), py::arg("dtype"),
               py::arg("n_threads"), py::arg("max_memory"),
               "A copy of a caller's distance matrix as the engine reads it: square, symmetric, checked.");
}

}  // namespace adabet::bindings
