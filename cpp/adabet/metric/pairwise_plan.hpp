#pragma once

#include <cstddef>

#include "adabet/metric/pairwise.hpp"

namespace adabet {

/// How a call is cut into tasks, and the working memory that takes. The bits of the distances do not depend on it.
struct PairwisePlan {
    bool narrow = false;     ///< d <= 64: goes by narrow_pairwise.hpp, which packs all points once
    bool in_float = false;   ///< fp32 chains; fp64 otherwise
    bool by_groups = false;  ///< a task is a range of columns for all pairs; otherwise a block of pairs for all columns
    std::size_t whole_groups =
        0;                  ///< a task each; the chunks of those that follow are one each, so that all end at once
    std::size_t block = 0;  ///< rows of a block, a multiple of 8
    std::size_t n_blocks = 0;
    std::size_t n_tasks = 0;
    int workers = 1;
    std::size_t panel_ld = 0;        ///< elements from one packed row to the next
    std::size_t panel_elements = 0;  ///< of one packed block
    bool copies_ahead = false;       ///< the next chunk's rows are copied while one is computed
    std::size_t n_panels = 1;        ///< two where a block meets another, or for the next chunk
    std::size_t sums = 0;            ///< fp64 sums of one block, rows `block` apart
    std::size_t n_sums = 1;          ///< two where groups are added up
    std::size_t n_partials = 0;      ///< blocks of sums kept until all columns are there
    std::size_t bytes = 0;           ///< of working memory, all of it

    friend bool operator==(const PairwisePlan&, const PairwisePlan&) = default;
};

/// True for the metrics whose rows are normalised first.
[[nodiscard]] constexpr bool normalises(Metric metric) {
    return metric == Metric::cosine || metric == Metric::correlation;
}

/// Whether coordinates are held, and squares summed, in fp32 chains: never for d <= 64.
[[nodiscard]] bool sums_in_float(const PointCloud& points, Metric metric, std::size_t real_size);

[[nodiscard]] PairwisePlan plan_pairwise(const PointCloud& points, Metric metric, std::size_t real_size, int n_threads);

/// Coordinate differences that a cloud's distances take.
[[nodiscard]] double differences_of(const PointCloud& points);

/// Of so many threads those that are worth starting for that many coordinate differences.
[[nodiscard]] int worthwhile_threads(double differences, int n_threads);

/// The blocks (first, second) of a task, first <= second, counted along rows of the upper triangle.
struct BlockPair {
    std::size_t first;
    std::size_t second;
};
[[nodiscard]] BlockPair block_pair(std::size_t task, std::size_t n_blocks);

}  // namespace adabet
