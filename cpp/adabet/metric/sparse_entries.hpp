#pragma once

#include <cstddef>
#include <cstdint>

#include "adabet/metric/point_cloud.hpp"

namespace adabet {

/// Row or column numbers in a caller's memory, 32 or 64 bits wide.
class VertexIndices {
public:
    VertexIndices() = default;
    VertexIndices(const std::int32_t* narrow) : narrow_(narrow) {}
    VertexIndices(const std::int64_t* wide) : wide_(wide) {}

    std::int64_t operator[](std::size_t k) const { return narrow_ != nullptr ? narrow_[k] : wide_[k]; }

private:
    const std::int32_t* narrow_ = nullptr;
    const std::int64_t* wide_ = nullptr;
};

/// A graph's edge lengths in coordinate form: entry k says that d(rows[k], columns[k]) is the k-th of `lengths`
/// (a single row, any scalar type and stride).
///
/// What is missing is no edge. Entries in one triangle alone are undirected edges; where both triangles are there they
/// must agree up to rounding, and the upper one counts. An explicit zero is an edge of length zero, +inf none.
struct SparseEntries {
    std::size_t n = 0;
    VertexIndices rows;
    VertexIndices columns;
    PointCloud lengths;

    [[nodiscard]] std::size_t size() const { return lengths.d; }
    [[nodiscard]] bool is_inside(std::size_t k) const {
        return static_cast<std::uint64_t>(rows[k]) < n && static_cast<std::uint64_t>(columns[k]) < n;
    }
};

/// Throw InvalidInput that says what is wrong with an entry, or with the pair {i, j}, i < j.
[[noreturn]] void throw_outside(const SparseEntries& graph, std::size_t k);
template <class Real>
[[noreturn]] void throw_no_distance(const SparseEntries& graph, std::size_t k);
[[noreturn]] void throw_off_diagonal(const SparseEntries& graph, std::size_t k);
[[noreturn]] void throw_given_twice(std::size_t i, std::size_t j);
/// NaN stands for "missing".
[[noreturn]] void throw_disagreement(std::size_t i, std::size_t j, double upper, double lower);

}  // namespace adabet
