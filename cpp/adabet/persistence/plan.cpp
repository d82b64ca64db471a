#include "adabet/persistence/plan.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "adabet/metric/distance_tiles.hpp"
#include "adabet/persistence/limits.hpp"
#include "adabet/persistence/sparse_h1.hpp"
#include "adabet/rips/survey.hpp"

namespace adabet {

namespace {

constexpr std::size_t kUnbounded = std::numeric_limits<std::size_t>::max();
/// Beyond this many points n^2 doubles cannot be addressed, and products of sizes would wrap.
constexpr std::size_t kMostPoints = std::size_t{1} << 29;
/// Up to this dimension making a distance anew costs less than fetching it from memory.
constexpr std::size_t kCheapDimension = 16;
/// In wider clouds near points are seldom much nearer than others.
constexpr std::size_t kLocalDimension = 64;
constexpr std::size_t kFewestStreamedPoints = 2048;

std::size_t add(std::size_t a, std::size_t b) { return a > kUnbounded - b ? kUnbounded : a + b; }

std::size_t less(std::size_t a, std::size_t b) { return a > b ? a - b : 0; }

/// With the run's own choice for what is left beside `held`.
std::size_t with_run(std::size_t held, std::size_t n, std::size_t real_size, bool resident, int n_threads,
                     std::size_t limit) {
    return add(held, run_limits(n, real_size, resident, n_threads, less(limit, held)).fixed_bytes);
}

/// Readers that live at once: one a thread in each of two stages, and the caller's.
std::size_t readers(int n_threads) { return 2 * static_cast<std::size_t>(n_threads) + 1; }

/// Births and critical cells need room too, so a plan that leaves next to none does not fit.
bool fits(std::size_t fixed, std::size_t limit) { return fixed <= limit - limit / 8; }

MemoryPlan choose(std::size_t dense, std::size_t streamed, bool prefer_streamed, std::size_t limit, PlanChoice choice) {
    const MemoryPlan by_matrix{PlanKind::dense, dense};
    const MemoryPlan by_tiles{PlanKind::streamed, streamed};
    if (choice) return *choice == PlanKind::dense ? by_matrix : by_tiles;
    const MemoryPlan& first = prefer_streamed ? by_tiles : by_matrix;
    const MemoryPlan& second = prefer_streamed ? by_matrix : by_tiles;
    if (fits(first.fixed, limit)) return first;
    if (fits(second.fixed, limit)) return second;
    return first.fixed <= second.fixed ? first : second;
}

}  // namespace

bool is_ordered_first(const PointCloud& points) {
    return points.n >= kFewestSurveyedPoints && points.d <= kLocalDimension && points.d > 0;
}

MemoryPlan plan_for_points(const PointCloud& points, Metric metric, std::size_t real_size, int n_threads,
                           std::size_t limit, PlanChoice choice, bool has_threshold) {
    const std::size_t n = points.n;
    if (n > kMostPoints) return {PlanKind::streamed, kUnbounded};
    const std::size_t order = is_ordered_first(points) ? n * sizeof(Vertex) : 0;
    const std::size_t matrix = add(n * n * real_size, order);
    const std::size_t dense = std::max(add(matrix, pairwise_distances_bytes(points, metric, real_size, n_threads)),
                                       with_run(matrix, n, real_size, true, n_threads, limit));
    const std::size_t tiles = order + point_tiles_bytes(points, metric, n) +
                              readers(n_threads) * point_reader_bytes(points, metric, real_size);
    const std::size_t streamed = with_run(tiles, n, real_size, false, n_threads, limit);
    const std::size_t listed =
        tiles + survey_bytes(n, real_size) + survey_scratch_bytes(n, real_size, false, n_threads);
    const bool fits_none = has_threshold && !fits(dense, limit) && !fits(streamed, limit);
    if (choice == PlanKind::sparse || (!choice && fits_none)) return {PlanKind::sparse, listed};
    return choose(dense, streamed, points.d <= kCheapDimension && n >= kFewestStreamedPoints, limit, choice);
}

MemoryPlan plan_for_matrix(std::size_t n, bool in_place, std::size_t real_size, int n_threads, std::size_t limit,
                           PlanChoice choice) {
    if (n > kMostPoints) return {PlanKind::streamed, kUnbounded};
    const std::size_t dense = with_run(in_place ? 0 : n * n * real_size, n, real_size, true, n_threads, limit);
    if (in_place) return {PlanKind::dense, dense};
    const std::size_t tiles = matrix_tiles_bytes(n) + readers(n_threads) * matrix_reader_bytes(real_size);
    return choose(dense, with_run(tiles, n, real_size, false, n_threads, limit), false, limit, choice);
}

/// Work per edge grows with the mean degree, that of the dense plan does not.
MemoryPlan plan_for_graph(std::size_t n, std::size_t n_entries, std::size_t n_edges, std::size_t real_size,
                          int n_threads, std::size_t limit, PlanChoice choice) {
    const auto points = static_cast<double>(n);
    const bool lists_are_quicker = static_cast<double>(n_entries) <= points * std::sqrt(points);
    const MemoryPlan by_lists{PlanKind::sparse, h1_of_graph_bytes(n, n_entries, n_edges, real_size, n_threads)};
    if (choice == PlanKind::sparse || (!choice && lists_are_quicker)) return by_lists;
    const MemoryPlan by_matrix = plan_for_matrix(n, false, real_size, n_threads, limit, PlanKind::dense);
    if (choice == PlanKind::dense || fits(by_matrix.fixed, limit)) return by_matrix;
    return by_lists.fixed <= by_matrix.fixed ? by_lists : by_matrix;
}

}  // namespace adabet
