#include "bindings/inputs.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "adabet/errors.hpp"

namespace py = pybind11;

namespace adabet::bindings {

namespace {

VertexIndices indices(const ArrayView& view, std::size_t expected) {
    const bool narrow = view.scalar == ScalarType::int32;
    if ((!narrow && view.scalar != ScalarType::int64) || view.ndim != 1 || view.shape[0] != expected ||
        (expected > 1 && view.strides[0] != 1)) {
        throw InvalidInput("a sparse matrix's indices must be contiguous int32 or int64 arrays as long as its data");
    }
    return narrow ? VertexIndices(static_cast<const std::int32_t*>(view.data))
                  : VertexIndices(static_cast<const std::int64_t*>(view.data));
}

}  // namespace

std::size_t square_bytes(std::size_t n, std::size_t real_size) {
    constexpr std::size_t most_points = std::size_t{1} << 29;
    return n > most_points ? std::numeric_limits<std::size_t>::max() : n * n * real_size;
}

void refuse_beyond_budget(std::size_t needed, std::size_t n, const Execution& execution) {
    if (needed > execution.budget.limit()) {
        throw BudgetExceeded(execution.budget.limit(), needed, std::to_string(n) + " points");
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

const SparseEntries* Input::graph(std::size_t real_size, const Execution& execution, PlanChoice choice) const {
    if (form_ != Form::sparse) return nullptr;
    const std::size_t limit = execution.budget.limit();
    const MemoryPlan plan =
        plan_for_graph(n_, graph_.size(), graph_.size() / 2, real_size, execution.n_threads, limit, choice);
    if (plan.kind != PlanKind::sparse) return nullptr;
    if (plan.fixed > limit)
        throw BudgetExceeded(
            limit, plan.fixed,
            std::to_string(n_) + " points and " + std::to_string(graph_.size()) + " entries (plan: sparse)");
    return &graph_;
}

template <class Real>
HeldDistances<Real> Input::distances(Metric metric, const Execution& execution, PlanChoice choice,
                                     bool has_threshold) const {
    const std::size_t limit = execution.budget.limit();
    const auto plan_matrix = [&](bool in_place) {
        const MemoryPlan plan = plan_for_matrix(n_, in_place, sizeof(Real), execution.n_threads, limit, choice);
        refuse_beyond_budget(plan.fixed, n_, execution);
        return plan;
    };
    MemoryBudget& budget = execution.budget;
    switch (form_) {
        case Form::square: {
            MemoryPlan plan = plan_matrix(true);
            const bool in_place = choice != PlanKind::streamed && is_canonical<Real>(values_, execution);
            if (!in_place) plan = plan_matrix(false);
            if (plan.kind == PlanKind::streamed)
                return HeldDistances<Real>(matrix_tiles<Real>(values_, {}, execution), budget);
            return HeldDistances<Real>(read_square<Real>(values_, execution), budget);
        }
        case Form::condensed:
            if (plan_matrix(false).kind == PlanKind::streamed)
                return HeldDistances<Real>(condensed_tiles<Real>(values_, {}, execution), budget);
            return HeldDistances<Real>(read_condensed<Real>(values_, execution), budget);
        case Form::sparse:
            choice = PlanKind::dense;
            static_cast<void>(plan_matrix(false));
            return HeldDistances<Real>(read_sparse<Real>(graph_, execution), budget);
        case Form::points:
            break;
    }
    const MemoryPlan plan =
        plan_for_points(values_, metric, sizeof(Real), execution.n_threads, limit, choice, has_threshold);
    refuse_beyond_budget(plan.fixed, n_, execution);
    return HeldDistances<Real>(values_, metric, plan, execution);
}

template HeldDistances<float> Input::distances(Metric, const Execution&, PlanChoice, bool) const;
template HeldDistances<double> Input::distances(Metric, const Execution&, PlanChoice, bool) const;

std::vector<Input> read_clouds(const py::object& xs, bool distance_matrix) {
    std::vector<Input> inputs;
    if (!py::isinstance<py::list>(xs)) {
        const ArrayView stack = view_array(xs);
        if (stack.ndim == 1 || (stack.ndim == 2 && !distance_matrix))
            throw InvalidInput("xs must have 3 axes (b, n, d)");
        for (std::size_t i = 0; i < stack.shape[0]; ++i) inputs.emplace_back(stack.at(i), distance_matrix);
        return inputs;
    }
    for (const py::handle x : xs) {
        try {
            inputs.emplace_back(py::reinterpret_borrow<py::object>(x), distance_matrix);
        } catch (const InvalidInput& e) {
            throw InvalidInput("cloud " + std::to_string(inputs.size()) + ": " + e.what());
        }
    }
    return inputs;
}

}  // namespace adabet::bindings
