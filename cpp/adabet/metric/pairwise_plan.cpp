#include "adabet/metric/pairwise_plan.hpp"

#include <algorithm>

#include "adabet/metric/chain.hpp"
#include "adabet/metric/load.hpp"
#include "adabet/metric/normalise.hpp"
#include "adabet/metric/point_tiles.hpp"

namespace adabet {

namespace {

constexpr std::size_t row_multiple = 8;
constexpr std::size_t largest_block = 128;        // 2 x 128 rows of a chunk fill a 1 MiB second-level cache
constexpr std::size_t smallest_block = 32;        // below, packing costs as much as the pairs
constexpr std::size_t most_rows_by_groups = 256;  // beyond, the kept partial sums grow past a few percent of the input
constexpr std::size_t most_rows_by_chunks = 128;  // beyond, a chunk's partial sums are a quarter of its coordinates
constexpr std::size_t fewest_rows_ahead = 28;     // below, there is more to copy than about as many steps to copy it in
constexpr std::size_t most_rows_ahead = 64;       // beyond, two panels crowd a 1 MiB second-level cache
constexpr double worth_a_thread = 8e6;            // coordinate differences: about what starting a thread costs

constexpr std::size_t round_up(std::size_t a, std::size_t multiple) { return chain::ceil_div(a, multiple) * multiple; }

constexpr std::size_t triangle(std::size_t n_blocks) { return n_blocks * (n_blocks + 1) / 2; }

}  // namespace

bool sums_in_float(const PointCloud& points, Metric metric, std::size_t real_size) {
    const bool squares = metric == Metric::euclidean || metric == Metric::sqeuclidean;
    return squares && !chain::is_narrow(points.d) && real_size == sizeof(float) && fits_float(points.scalar);
}

double differences_of(const PointCloud& points) {
    const auto n = static_cast<double>(points.n);
    return 0.5 * n * n * static_cast<double>(points.d);
}

int worthwhile_threads(double differences, int n_threads) {
    return std::min(std::max(1, n_threads), static_cast<int>(std::min(differences / worth_a_thread, 1e6)) + 1);
}

PairwisePlan plan_pairwise(const PointCloud& points, Metric metric, std::size_t real_size, int n_threads) {
    PairwisePlan plan;
    if (points.n == 0 || points.d == 0) return plan;
    plan.narrow = chain::is_narrow(points.d);
    plan.in_float = sums_in_float(points, metric, real_size);

    const auto threads = static_cast<std::size_t>(worthwhile_threads(differences_of(points), n_threads));

    const std::size_t groups = chain::n_groups(points.d);
    const std::size_t chunks = chain::n_chunks(points.d);
    const bool enough = points.n <= most_rows_by_chunks ? chunks >= 4 * threads : groups >= 2 * threads;
    plan.by_groups = !plan.narrow && threads > 1 && points.n <= most_rows_by_groups && enough;
    if (plan.by_groups) {
        plan.block = round_up(points.n, row_multiple);
        plan.n_blocks = 1;
        plan.whole_groups = points.n <= most_rows_by_chunks ? groups - std::min(groups, threads) : groups;
        const std::size_t chunks_in_them = plan.whole_groups * chain::chunks_per_group;
        plan.n_tasks = plan.whole_groups + chunks - std::min(chunks, chunks_in_them);
        plan.n_sums = 0;
        plan.n_partials = plan.n_tasks;
    } else {
        plan.block = largest_block;
        while (threads > 1 && plan.block > smallest_block &&
               triangle(chain::ceil_div(points.n, plan.block)) < 4 * threads)
            plan.block /= 2;
        plan.block = std::min(plan.block, round_up(points.n, row_multiple));
        plan.n_blocks = chain::ceil_div(points.n, plan.block);
        plan.n_tasks = triangle(plan.n_blocks);
        plan.n_sums = groups > 1 ? 2 : 1;
    }
    plan.workers = static_cast<int>(std::min(threads, plan.n_tasks));

    // Packed rows are a cache line longer than a power of two: rows 4 KiB apart would share their cache sets.
    const std::size_t element = plan.in_float ? sizeof(float) : sizeof(double);
    const std::size_t columns = std::min(round_up(points.d, chain::lanes), chain::chunk_columns);
    plan.panel_ld = columns + 64 / element;
    plan.panel_elements = plan.panel_ld * (plan.block + rows_beyond);
    plan.sums = plan.block * plan.block;
    const bool as_it_is = plan.in_float && points.scalar == ScalarType::float32 && points.coordinate_stride == 1;
    plan.copies_ahead = as_it_is && plan.n_blocks == 1 && points.d >= chain::chunk_columns &&
                        points.n >= fewest_rows_ahead && points.n <= most_rows_ahead;
    plan.n_panels = plan.n_blocks > 1 || plan.copies_ahead ? 2 : 1;

    const std::size_t panel_bytes = plan.panel_elements * element + plan.block;
    const std::size_t each_worker = plan.n_panels * panel_bytes + plan.n_sums * plan.sums * sizeof(double);
    plan.bytes = static_cast<std::size_t>(plan.workers) * each_worker + plan.n_partials * plan.sums * sizeof(double);
    if (plan.narrow) plan.bytes = narrow_tiles_bytes(points.n, points.d) + points.n * sizeof(Vertex);
    if (normalises(metric)) plan.bytes += points.n * sizeof(RowNorm);
    return plan;
}

BlockPair block_pair(std::size_t task, std::size_t n_blocks) {
    std::size_t first = 0;
    while (task >= n_blocks - first) {
        task -= n_blocks - first;
        ++first;
    }
    return {.first = first, .second = first + task};
}

}  // namespace adabet
