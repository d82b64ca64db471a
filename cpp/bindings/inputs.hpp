#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <string_view>
#include <vector>

#include "adabet/metric/matrix_input.hpp"
#include "adabet/metric/pairwise.hpp"
#include "adabet/persistence/held_distances.hpp"
#include "adabet/persistence/plan.hpp"
#include "bindings/arrays.hpp"

namespace adabet::bindings {

/// What a caller measures: points, or distances as a square, a condensed or a sparse matrix. Built with the GIL held;
/// read without it.
class Input {
public:
    /// `x` is an array (2-D, or 1-D for a condensed matrix), or for a sparse matrix a tuple (n, rows, columns, lengths).
    Input(const pybind11::object& x, bool distance_matrix);
    Input(ArrayView array, bool distance_matrix);

    [[nodiscard]] const PointCloud& points() const { return values_; }
    [[nodiscard]] std::size_t n() const { return n_; }

    /// The graph, where lists of neighbours are the plan for it; null otherwise. Refuses as distances() does.
    [[nodiscard]] const SparseEntries* graph(std::size_t real_size, const Execution& execution,
                                             PlanChoice choice = {}) const;

    /// The distances in the form the engine reads, kept by the plan that is chosen where none is asked for. Refuses with
    /// BudgetExceeded, before anything is allocated, what n and d alone make too large for the budget.
    template <class Real>
    [[nodiscard]] HeldDistances<Real> distances(Metric metric, const Execution& execution, PlanChoice choice = {},
                                                bool has_threshold = false) const;

private:
    enum class Form { points, square, condensed, sparse };

    void read(bool distance_matrix);

    Form form_ = Form::points;
    ArrayView array_;
    std::vector<ArrayView> indices_;
    PointCloud values_;
    SparseEntries graph_;
    std::size_t n_ = 0;
};

/// The clouds (or matrices) of a stack, or of a list: what one of a list is refused for begins with its index.
[[nodiscard]] std::vector<Input> read_clouds(const pybind11::object& xs, bool distance_matrix);

/// Bytes of a square distance matrix. Saturates.
[[nodiscard]] std::size_t square_bytes(std::size_t n, std::size_t real_size);

/// Throws BudgetExceeded where `needed` is beyond the budget.
void refuse_beyond_budget(std::size_t needed, std::size_t n, const Execution& execution);

/// Calls body(float{}) or body(double{}).
template <class Body>
auto with_real(std::string_view dtype, Body&& body) {
    if (dtype == "float32") return body(float{});
    if (dtype == "float64") return body(double{});
    throw InvalidInput("dtype is '" + std::string(dtype) + "', expected 'float32' or 'float64'");
}

}  // namespace adabet::bindings
