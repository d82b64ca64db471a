#include "bindings/inputs.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "adabet/errors.hpp"
#include "adabet/persistence/limits.hpp"

namespace py = pybind11;

namespace adabet::bindings {

namespace {

constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();
// Beyond this many points n^2 doubles cannot be addressed, and products of sizes would wrap.
constexpr std::size_t most_points = std::size_t{1} << 29;

std::size_t smallest_run_bytes(std::size_t n, std::size_t real_size) {
    return run_limits(n, real_size, true, 1, 0).fixed_bytes;
}

std::size_t add(std::size_t a, std::size_t b) { return a > unbounded - b ? unbounded : a + b; }

const std::int64_t* indices(const ArrayView& view, std::size_t expected) {
    if (view.scalar != ScalarType::int64 || view.ndim != 1 || view.shape[0] != expected ||
        (expected > 1 && view.strides[0] != 1)) {
        throw InvalidInput("a sparse matrix's indices must be contiguous int64 arrays as long as its data");
    }
    return static_cast<const std::int64_t*>(view.data);
}

}  // namespace

std::size_t square_bytes(std::size_t n, std::size_t real_size) {
    return n > most_points ? unbounded : n * n * real_size;
}

std::size_t fixed_bytes(const PointCloud& points, Metric metric, std::size_t real_size, int n_threads) {
    if (points.n > most_points) return unbounded;
    return add(square_bytes(points.n, real_size),
               std::max(pairwise_distances_bytes(points, metric, real_size, n_threads),
                        smallest_run_bytes(points.n, real_size)));
}

std::size_t fixed_bytes(std::size_t n, bool in_place, std::size_t real_size) {
    if (n > most_points) return unbounded;
    return add(in_place ? 0 : square_bytes(n, real_size), smallest_run_bytes(n, real_size));
}

void refuse_beyond_budget(std::size_t needed, std::size_t n, const Execution& execution) {
    if (needed > execution.budget.limit()) {
        throw BudgetExceeded(execution.budget.limit(), needed, std::to_string(n) + " points (plan: dense)");
    }
}

Input::Input(const py::object& x, bool distance_matrix) {
    if (py::isinstance<py::tuple>(x)) {
        const auto parts = py::reinterpret_borrow<py::tuple>(x);
        if (parts.size() != 4) throw InvalidInput("a sparse matrix comes as (n, rows, columns, lengths)");
        form_ = Form::sparse;
        n_ = parts[0].cast<std::size_t>();
        array_ = view_array(parts[3]);
        values_ = array_.points();
        indices_ = {view_array(parts[1]), view_array(parts[2])};
        graph_ = {n_, indices(indices_[0], values_.d), indices(indices_[1], values_.d), values_};
        return;
    }
    array_ = view_array(x);
    read(distance_matrix);
}

Input::Input(ArrayView array, bool distance_matrix) : array_(std::move(array)) { read(distance_matrix); }

void Input::read(bool distance_matrix) {
    if (array_.ndim > 2) throw InvalidInput("x has 3 axes, expected 2");
    values_ = array_.points();
    n_ = values_.n;
    if (!distance_matrix) {
        if (array_.ndim == 1) throw InvalidInput("x has 1 axis, expected a point cloud of shape (n, d)");
        return;
    }
    form_ = array_.ndim == 1 ? Form::condensed : Form::square;
    if (form_ == Form::condensed) n_ = condensed_points(values_.d);
    if (form_ == Form::square && values_.n != values_.d) {
        throw InvalidInput("a distance matrix must be square, got shape (" + std::to_string(values_.n) + ", " +
                           std::to_string(values_.d) + ")");
    }
}

template <class Real>
MatrixInput<Real> Input::distances(Metric metric, const Execution& execution) const {
    switch (form_) {
        case Form::square:
            refuse_beyond_budget(fixed_bytes(n_, true, sizeof(Real)), n_, execution);
            if (!is_canonical<Real>(values_, execution))
                refuse_beyond_budget(fixed_bytes(n_, false, sizeof(Real)), n_, execution);
            return read_square<Real>(values_, execution);
        case Form::condensed:
            refuse_beyond_budget(fixed_bytes(n_, false, sizeof(Real)), n_, execution);
            return read_condensed<Real>(values_, execution);
        case Form::sparse:
            refuse_beyond_budget(fixed_bytes(n_, false, sizeof(Real)), n_, execution);
            return read_sparse<Real>(graph_, execution);
        case Form::points:
            break;
    }
    refuse_beyond_budget(fixed_bytes(values_, metric, sizeof(Real), execution.n_threads), n_, execution);
    Buffer<Real> matrix = make_buffer<Real>(execution.budget, n_ * n_);
    pairwise_distances(values_, metric, matrix.data(), n_, execution);
    return MatrixInput<Real>(std::move(matrix), n_);
}

template MatrixInput<float> Input::distances(Metric, const Execution&) const;
template MatrixInput<double> Input::distances(Metric, const Execution&) const;

}  // namespace adabet::bindings
