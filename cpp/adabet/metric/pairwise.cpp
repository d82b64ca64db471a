#include "adabet/metric/pairwise.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "adabet/metric/chain.hpp"
#include "adabet/metric/core_kernels.hpp"
#include "adabet/metric/epilog.hpp"
#include "adabet/metric/float_mode.hpp"
#include "adabet/metric/kernels.hpp"
#include "adabet/metric/metrics.hpp"
#include "adabet/metric/narrow_pairwise.hpp"
#include "adabet/metric/normalise.hpp"
#include "adabet/metric/pairwise_on.hpp"
#include "adabet/metric/pairwise_plan.hpp"
#include "adabet/metric/panel.hpp"

namespace adabet {

namespace {

constexpr std::array<std::pair<std::string_view, Metric>, 6> named_metrics{{{"euclidean", Metric::euclidean},
                                                                            {"sqeuclidean", Metric::sqeuclidean},
                                                                            {"cityblock", Metric::cityblock},
                                                                            {"chebyshev", Metric::chebyshev},
                                                                            {"cosine", Metric::cosine},
                                                                            {"correlation", Metric::correlation}}};

/// One call: T is what coordinates are held in.
template <class T, class Real>
class PairwiseRun {
public:
    PairwiseRun(const PackSource& source, Metric metric, const PairwisePlan& plan, Real* out, std::size_t stride,
                const Execution& execution)
        : source_(source), metric_(metric), plan_(plan), out_(out), stride_(stride), execution_(execution) {
        const auto workers = static_cast<std::size_t>(plan.workers);
        panels_.reserve(workers * plan.n_panels);
        for (std::size_t k = 0; k < workers * plan.n_panels; ++k) panels_.emplace_back(plan, execution.budget);
        sums_.reserve(workers * plan.n_sums);
        for (std::size_t k = 0; k < workers * plan.n_sums; ++k)
            sums_.push_back(make_buffer<double>(execution.budget, plan.sums));
    }

    void run() {
        auto partials = make_buffer<double>(execution_.budget, plan_.n_partials * plan_.sums);
        const Execution part{.budget = execution_.budget,
                             .n_threads = plan_.workers,
                             .checkpoint = execution_.checkpoint,
                             .lender = execution_.lender};
        parallel_for(part, plan_.n_tasks, [&](std::size_t task, int worker, const Execution& own) {
            const PlainFloatMode mode;
            const auto w = static_cast<std::size_t>(worker);
            if (plan_.by_groups) {
                group_of_all_pairs(task, w, partials.data() + task * plan_.sums, own);
            } else {
                block_of_pairs(block_pair(task, plan_.n_blocks), w, own);
            }
        });
        if (!plan_.by_groups) return;
        const PlainFloatMode mode;
        for (std::size_t group = 1; group < plan_.n_tasks; ++group)
            join_into(metric_, partials.data(), partials.data() + group * plan_.sums, plan_.sums);
        write({.first = 0, .second = 0}, partials.data());
    }

private:
    [[nodiscard]] std::size_t rows_of(std::size_t block) const {
        return std::min(plan_.block, source_.n() - block * plan_.block);
    }

    void write(const BlockPair& pair, const double* sums) {
        const BlockOutput<Real> block{.out = out_,
                                      .stride = stride_,
                                      .first_a = pair.first * plan_.block,
                                      .first_b = pair.second * plan_.block,
                                      .n_a = rows_of(pair.first),
                                      .n_b = rows_of(pair.second)};
        write_block(source_, metric_, sums, plan_.block, block);
    }

    // NOLINTNEXTLINE(readability-non-const-parameter): written to through the block, whose type depends on T
    void add_chunk(double* sums, const Panel<T>& a, std::size_t n_a, const Panel<T>& b, std::size_t n_b,
                   std::size_t chunk, const Ahead& ahead) {
        ChunkBlock<T> block{.a = a.values(),
                            .b = b.values(),
                            .n_a = n_a,
                            .n_b = n_b,
                            .ld = a.ld(),
                            .steps = chain::steps_of(chain::columns_of(chunk, source_.points.d)),
                            .marks_a = a.marks(),
                            .marks_b = b.marks(),
                            .diagonal = &a == &b,
                            .sums = nullptr,
                            .ld_sums = plan_.block,
                            .ahead = ahead};
        block.sums = sums;
        if constexpr (sizeof(T) == sizeof(float)) {
            source_.table.chunk_of_squares_float(block);
        } else {
            core_of(source_.table, metric_).chunk(block);
        }
    }

    /// What packing that chunk will read, where rows are contiguous and there is one.
    [[nodiscard]] Ahead rows_ahead(std::size_t first, std::size_t count, std::size_t chunk) const {
        const PointCloud& points = source_.points;
        if (points.coordinate_stride != 1 || !source_.order.as_they_stand() || chunk >= chain::n_chunks(points.d))
            return {};
        const std::size_t element = size_of(points.scalar);
        return {.first = static_cast<const unsigned char*>(address_of(points, first, chunk * chain::chunk_columns)),
                .row_bytes = points.point_stride * static_cast<std::ptrdiff_t>(element),
                .bytes = chain::columns_of(chunk, points.d) * element,
                .rows = count};
    }

    /// The sums of one group of chunks for all pairs.
    void group_of_all_pairs(std::size_t group, std::size_t worker, double* sums, const Execution& own) {
        const std::size_t n = source_.n();
        std::fill_n(sums, plan_.sums, 0.0);
        const std::size_t first = group * chain::chunks_per_group;
        const std::size_t last = std::min(first + chain::chunks_per_group, chain::n_chunks(source_.points.d));
        Panel<T>& panel = panels_[worker * plan_.n_panels];
        for (std::size_t chunk = first; chunk < last; ++chunk) {
            panel.pack_chunk(source_, 0, n, chunk);
            add_chunk(sums, panel, n, panel, n, chunk, rows_ahead(0, n, chunk + 1));
            own.check();
        }
    }

    /// The distances of one block of pairs, all columns.
    void block_of_pairs(const BlockPair& pair, std::size_t worker, const Execution& own) {
        const bool diagonal = pair.first == pair.second;
        Panel<T>& a = panels_[worker * plan_.n_panels];
        Panel<T>& b = diagonal ? a : panels_[worker * plan_.n_panels + 1];
        double* sums = sums_[worker * plan_.n_sums].data();
        const std::size_t chunks = chain::n_chunks(source_.points.d);
        std::fill_n(sums, plan_.sums, 0.0);
        for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
            const std::size_t in_group = chunk % chain::chunks_per_group;
            const bool first_group = chunk < chain::chunks_per_group;
            double* group = first_group ? sums : sums_[worker * plan_.n_sums + 1].data();
            if (!first_group && in_group == 0) std::fill_n(group, plan_.sums, 0.0);
            a.pack_chunk(source_, pair.first * plan_.block, rows_of(pair.first), chunk);
            if (!diagonal) b.pack_chunk(source_, pair.second * plan_.block, rows_of(pair.second), chunk);
            add_chunk(group, a, rows_of(pair.first), b, rows_of(pair.second), chunk,
                      rows_ahead(pair.first * plan_.block, rows_of(pair.first), chunk + 1));
            const bool group_ends = in_group + 1 == chain::chunks_per_group || chunk + 1 == chunks;
            if (!first_group && group_ends) join_into(metric_, sums, group, plan_.sums);
            own.check();
        }
        write(pair, sums);
    }

    const PackSource& source_;
    Metric metric_;
    const PairwisePlan& plan_;
    Real* out_;
    std::size_t stride_;
    const Execution& execution_;
    std::vector<Panel<T>> panels_;
    std::vector<Buffer<double>> sums_;
};

}  // namespace

Metric metric_from_name(std::string_view name) {
    std::string known;
    for (const auto& [metric_name, metric] : named_metrics) {
        if (metric_name == name) return metric;
        known += known.empty() ? "" : ", ";
        known += metric_name;
    }
    throw InvalidInput("metric: got '" + std::string(name) + "', expected one of " + known);
}

std::vector<std::string_view> metric_names() {
    std::vector<std::string_view> names;
    names.reserve(named_metrics.size());
    for (const auto& [metric_name, metric] : named_metrics) names.push_back(metric_name);
    return names;
}

template <class Real>
void pairwise_distances_on(Isa isa, const PointCloud& points, Metric metric, Real* out, std::size_t stride,
                           const Execution& execution, std::span<const Vertex> order) {
    execution.check();
    const PointOrder places(order);
    places.check(points.n);
    const std::size_t n = places.count(points.n);
    if (n == 0) return;
    if (points.d == 0) {
        for (std::size_t i = 0; i < n; ++i) std::fill_n(out + i * stride, n, Real{0});
        return;
    }
    const Kernels& table = kernels(isa);
    PointCloud ordered = points;
    ordered.n = n;
    const PairwisePlan plan = plan_pairwise(ordered, metric, sizeof(Real), execution.n_threads);
    if (plan.narrow) return narrow_pairwise(isa, points, metric, plan, out, stride, order, execution);
    auto norms = make_buffer<RowNorm>(execution.budget, normalises(metric) ? points.n : 0);
    if (normalises(metric)) find_row_norms(points, metric, table, execution, plan.workers, norms.data());
    const PackSource source{
        .points = points, .table = table, .norms = normalises(metric) ? norms.data() : nullptr, .order = places};
    if (plan.in_float) {
        PairwiseRun<float, Real>(source, metric, plan, out, stride, execution).run();
    } else {
        PairwiseRun<double, Real>(source, metric, plan, out, stride, execution).run();
    }
}

template <class Real>
void pairwise_distances(const PointCloud& points, Metric metric, Real* out, std::size_t stride,
                        const Execution& execution, std::span<const Vertex> order) {
    pairwise_distances_on(active_isa(), points, metric, out, stride, execution, order);
}

std::size_t pairwise_distances_bytes(const PointCloud& points, Metric metric, std::size_t real_size, int n_threads) {
    return plan_pairwise(points, metric, real_size, n_threads).bytes;
}

template void pairwise_distances_on<float>(Isa, const PointCloud&, Metric, float*, std::size_t, const Execution&,
                                           std::span<const Vertex>);
template void pairwise_distances_on<double>(Isa, const PointCloud&, Metric, double*, std::size_t, const Execution&,
                                            std::span<const Vertex>);
template void pairwise_distances<float>(const PointCloud&, Metric, float*, std::size_t, const Execution&,
                                        std::span<const Vertex>);
template void pairwise_distances<double>(const PointCloud&, Metric, double*, std::size_t, const Execution&,
                                         std::span<const Vertex>);

}  // namespace adabet
