#pragma once

#include <cstddef>
#include <optional>

#include "adabet/metric/pairwise.hpp"
#include "adabet/metric/point_cloud.hpp"

namespace adabet {

/// How distances are kept while a barcode is made.
enum class PlanKind {
    dense,     ///< a matrix and bit rows
    streamed,  ///< bit rows alone; distances are made anew, a tile at a time, whenever they are looked at
    sparse     ///< lists of neighbours
};

/// Chosen before anything is allocated.
struct MemoryPlan {
    PlanKind kind = PlanKind::dense;
    std::size_t fixed = 0;  ///< bytes that follow from n, d and threads
};

/// What a caller may ask for: a plan by name, or the one that is chosen.
using PlanChoice = std::optional<PlanKind>;

/// The plan for a point cloud within `limit` bytes: the quickest that fits; where none does, the one that needs least. Where a
/// threshold makes edges few, that may be lists of neighbours, whose bytes are known once edges have been counted.
[[nodiscard]] MemoryPlan plan_for_points(const PointCloud& points, Metric metric, std::size_t real_size, int n_threads,
                                         std::size_t limit, PlanChoice choice = {}, bool has_threshold = false);

/// The same for a distance matrix; one `in_place` is read where it is.
[[nodiscard]] MemoryPlan plan_for_matrix(std::size_t n, bool in_place, std::size_t real_size, int n_threads,
                                         std::size_t limit, PlanChoice choice = {});

/// The same for a graph with so many entries; sparse or dense. `n_edges` is the least number of edges that they may name:
/// entries of both triangles name each edge twice.
[[nodiscard]] MemoryPlan plan_for_graph(std::size_t n, std::size_t n_entries, std::size_t n_edges,
                                        std::size_t real_size, int n_threads, std::size_t limit,
                                        PlanChoice choice = {});

/// Whether a cloud is put into a locality order before its distances are taken.
[[nodiscard]] bool is_ordered_first(const PointCloud& points);

}  // namespace adabet
