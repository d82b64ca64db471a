#pragma once

#include <cstddef>
#include <optional>
#include <utility>

#include "adabet/execution.hpp"
#include "adabet/metric/point_cloud.hpp"
#include "adabet/metric/sparse_entries.hpp"
#include "adabet/types.hpp"

namespace adabet {

/// A caller's distances in the form the engine relies on (see DistanceMatrix): either the caller's own memory, where it
/// already has that form, or a copy whose bytes are booked with the budget.
template <class Real>
class MatrixInput {
public:
    explicit MatrixInput(DistanceMatrix<Real> borrowed) : matrix_(borrowed) {}
    MatrixInput(Buffer<Real>&& copy, std::size_t n) : copy_(std::move(copy)), matrix_{copy_->data(), n, n} {}
    // Moving a vector keeps its elements where they are, so matrix_ stays valid.
    MatrixInput(MatrixInput&&) noexcept = default;
    MatrixInput& operator=(MatrixInput&&) = delete;

    [[nodiscard]] const DistanceMatrix<Real>& matrix() const { return matrix_; }
    [[nodiscard]] bool borrowed() const { return !copy_.has_value(); }

private:
    std::optional<Buffer<Real>> copy_;
    DistanceMatrix<Real> matrix_;
};

/// Whether a matrix (n rows, d columns) can be borrowed as it is: entries of type Real, rows without gaps between their
/// entries, exactly symmetric, zero diagonal, no NaN, no negative entry, no -0.0.
template <class Real>
[[nodiscard]] bool is_canonical(const PointCloud& matrix, const Execution& execution);

/// Reads a square matrix. One that is not canonical is copied: cast to Real, -0.0 made +0.0, the diagonal zeroed, and
/// the upper triangle mirrored, as Ripser reads it. Asymmetry and a diagonal that rounding explains are accepted, judged
/// after the cast: a few units in the last place of the entry, or of the squares that a Gram-form distance subtracts.
/// Throws InvalidInput naming the first bad entry: not square, NaN, negative, too large for Real, asymmetric, diagonal.
template <class Real>
[[nodiscard]] MatrixInput<Real> read_square(const PointCloud& matrix, const Execution& execution);

/// Reads the upper triangle in row-major order, without the diagonal: a single row of n (n - 1) / 2 entries.
template <class Real>
[[nodiscard]] MatrixInput<Real> read_condensed(const PointCloud& vector, const Execution& execution);

/// Reads a graph: what is missing is no edge. Entries in one triangle alone are undirected edges; where both triangles
/// are there they must agree. Throws InvalidInput also at a pair that is given twice.
template <class Real>
[[nodiscard]] MatrixInput<Real> read_sparse(const SparseEntries& graph, const Execution& execution);

/// The n for which a condensed matrix has `length` entries; throws InvalidInput where there is none.
[[nodiscard]] std::size_t condensed_points(std::size_t length);

}  // namespace adabet
