#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <vector>

#include "adabet/execution.hpp"
#include "adabet/metric/chain.hpp"
#include "adabet/metric/chunk_feed.hpp"
#include "adabet/metric/core_kernels.hpp"
#include "adabet/metric/epilog.hpp"
#include "adabet/metric/float_mode.hpp"
#include "adabet/metric/kernels.hpp"
#include "adabet/metric/pairwise.hpp"
#include "adabet/metric/pairwise_plan.hpp"
#include "adabet/metric/panel.hpp"

namespace adabet {

/// Clouds of one shape with more than 64 coordinates, one after another, in the same scratch. T is what coordinates are
/// held in.
template <class T, class Real>
class PairwiseRun {
public:
    PairwiseRun(const PairwisePlan& plan, Metric metric, MemoryBudget& budget)
        : plan_(plan),
          metric_(metric),
          partials_(make_buffer<double>(budget, plan.n_partials * plan.sums)),
          panels_(static_cast<std::size_t>(plan.workers) * plan.n_panels, plan.panel_ld, plan.panel_elements,
                  plan.block, budget) {
        const auto workers = static_cast<std::size_t>(plan.workers);
        feeds_.reserve(workers);
        for (std::size_t k = 0; k < workers; ++k) feeds_.emplace_back(plan, &panels_[k * plan.n_panels]);
        sums_.reserve(workers * plan.n_sums);
        for (std::size_t k = 0; k < workers * plan.n_sums; ++k) sums_.push_back(make_buffer<double>(budget, plan.sums));
    }

    /// `next` is the cloud that is likely to come after this one, if there is one: read while this one's last columns are
    /// computed.
    void run(const PackSource& source, const DistanceOutput<Real>& out, const Execution& execution,
             const PackSource* next = nullptr) {
        const Execution part{.budget = execution.budget,
                             .n_threads = plan_.workers,
                             .checkpoint = execution.checkpoint,
                             .lender = execution.lender};
        if (!plan_.by_groups)
            return parallel_for(part, plan_.n_tasks, [&](std::size_t task, int worker, const Execution& own) {
                const PlainFloatMode mode;
                const BlockPair pair = block_pair(task, plan_.n_blocks);
                write(source, pair, block_of_pairs(source, pair, static_cast<std::size_t>(worker), own, next), out);
            });
        std::atomic<std::size_t> unclaimed{0};
        parallel_for(part, static_cast<std::size_t>(plan_.workers), [&](std::size_t, int worker, const Execution& own) {
            const PlainFloatMode mode;
            std::size_t task = unclaimed.fetch_add(1, std::memory_order_relaxed);
            while (task < plan_.n_tasks)
                task = columns_of_all_pairs(source, task, unclaimed, static_cast<std::size_t>(worker), own);
        });
        const PlainFloatMode mode;
        write(source, {.first = 0, .second = 0}, join_partials(), out);
    }

private:
    /// The chunks of a task.
    [[nodiscard]] std::size_t first_chunk(std::size_t task) const {
        if (task <= plan_.whole_groups) return task * chain::chunks_per_group;
        return plan_.whole_groups * chain::chunks_per_group + (task - plan_.whole_groups);
    }
    [[nodiscard]] std::size_t end_chunk(std::size_t task, std::size_t n_chunks) const {
        return std::min(n_chunks, first_chunk(task) + (task < plan_.whole_groups ? chain::chunks_per_group : 1));
    }

    /// The sums over all columns: the chunks in sequence make a group, the groups in sequence the whole.
    const double* join_partials() {
        const auto partial = [this](std::size_t task) { return partials_.data() + task * plan_.sums; };
        const auto join = [this](double* to, const double* from) {
            for (std::size_t i = 0; i + 1 < plan_.block; ++i) {  // pairs (i, j) with i < j
                const std::size_t first = i * plan_.block + i + 1;
                join_into(metric_, to + first, from + first, plan_.block - i - 1);
            }
        };
        for (std::size_t task = 1; task < plan_.whole_groups; ++task) join(partial(0), partial(task));
        for (std::size_t group = plan_.whole_groups; group < plan_.n_tasks; group += chain::chunks_per_group) {
            const std::size_t end = std::min(group + chain::chunks_per_group, plan_.n_tasks);
            for (std::size_t task = group + 1; task < end; ++task) join(partial(group), partial(task));
            if (group > 0) join(partial(0), partial(group));
        }
        return partials_.data();
    }

    void write(const PackSource& source, const BlockPair& pair, const double* sums, const DistanceOutput<Real>& out) {
        const PairBlock block{.first_a = pair.first * plan_.block,
                              .first_b = pair.second * plan_.block,
                              .n_a = feeds_[0].rows_of(source, pair.first),
                              .n_b = feeds_[0].rows_of(source, pair.second)};
        write_block(source, metric_, sums, plan_.block, block, out);
    }

    // NOLINTNEXTLINE(readability-non-const-parameter): written to through the block, whose type depends on T
    void add_chunk(const PackSource& source, double* sums, Panel<T>& a, std::size_t n_a, Panel<T>& b, std::size_t n_b,
                   std::size_t steps, const Ahead& ahead) {
        ChunkBlock<T> block{.a = a.values(),
                            .b = b.values(),
                            .n_a = n_a,
                            .n_b = n_b,
                            .ld = a.ld(),
                            .steps = steps,
                            .marks_a = a.marks(),
                            .marks_b = b.marks(),
                            .diagonal = &a == &b,
                            .sums = nullptr,
                            .ld_sums = plan_.block,
                            .ahead = ahead};
        block.sums = sums;
        if constexpr (sizeof(T) == sizeof(float)) {
            source.table.chunk_of_squares_float(block);
        } else {
            core_of(source.table, metric_).chunk(block);
        }
    }

    /// The sums of a task's columns for all pairs. Returns this worker's next task, which it has claimed before it is
    /// through with this one.
    std::size_t columns_of_all_pairs(const PackSource& source, std::size_t task, std::atomic<std::size_t>& unclaimed,
                                     std::size_t worker, const Execution& own) {
        const std::size_t n = source.n();
        double* const sums = partials_.data() + task * plan_.sums;
        std::fill_n(sums, plan_.sums, 0.0);
        const std::size_t last = end_chunk(task, chain::n_chunks(source.points.d));
        ChunkFeed<T>& feed = feeds_[worker];
        std::size_t next_task = task;
        const auto upcoming = [&](std::size_t chunk) -> Upcoming {
            if (chunk < last) return {.source = &source, .chunk = chunk};
            // Where its next task is one chunk, the one after that is likely to be as many tasks on as there are workers.
            const bool beyond = chunk > last && next_task >= plan_.whole_groups;
            return {.source = &source,
                    .chunk = beyond ? first_chunk(next_task + static_cast<std::size_t>(plan_.workers))
                                    : first_chunk(next_task) + (chunk - last)};
        };
        for (std::size_t chunk = first_chunk(task); chunk < last; ++chunk) {
            if (next_task == task && chunk + 2 >= last) next_task = unclaimed.fetch_add(1, std::memory_order_relaxed);
            Panel<T>& panel = feed.take(source, 0, chunk);
            const std::size_t steps = chain::steps_of(chain::columns_of(chunk, source.points.d));
            add_chunk(source, sums, panel, n, panel, n, steps,
                      feed.ahead(upcoming(chunk + 1), upcoming(chunk + 2), 0, steps));
            own.check();
        }
        return next_task;
    }

    /// The sums of one block of pairs, all columns.
    const double* block_of_pairs(const PackSource& source, const BlockPair& pair, std::size_t worker,
                                 const Execution& own, const PackSource* next) {
        const bool diagonal = pair.first == pair.second;
        ChunkFeed<T>& feed = feeds_[worker];
        double* sums = sums_[worker * plan_.n_sums].data();
        const std::size_t n_a = feed.rows_of(source, pair.first);
        const std::size_t n_b = feed.rows_of(source, pair.second);
        const std::size_t chunks = chain::n_chunks(source.points.d);
        const auto upcoming = [&](std::size_t chunk) -> Upcoming {
            if (chunk < chunks) return {.source = &source, .chunk = chunk};
            if (plan_.n_tasks > 1) return {};
            return {.source = next, .chunk = chunk - chunks};
        };
        std::fill_n(sums, plan_.sums, 0.0);
        for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
            const std::size_t in_group = chunk % chain::chunks_per_group;
            const bool first_group = chunk < chain::chunks_per_group;
            double* group = first_group ? sums : sums_[worker * plan_.n_sums + 1].data();
            if (!first_group && in_group == 0) std::fill_n(group, plan_.sums, 0.0);
            Panel<T>& a = feed.take(source, pair.first, chunk);
            Panel<T>& b = diagonal ? a : feed.take_other(source, pair.second, chunk);
            const std::size_t steps = chain::steps_of(chain::columns_of(chunk, source.points.d));
            add_chunk(source, group, a, n_a, b, n_b, steps,
                      feed.ahead(upcoming(chunk + 1), upcoming(chunk + 2), pair.first, steps));
            const bool group_ends = in_group + 1 == chain::chunks_per_group || chunk + 1 == chunks;
            if (!first_group && group_ends) join_into(metric_, sums, group, plan_.sums);
            own.check();
        }
        return sums;
    }

    PairwisePlan plan_;
    Metric metric_;
    Buffer<double> partials_;
    Panels<T> panels_;
    std::vector<ChunkFeed<T>> feeds_;  ///< one a worker
    std::vector<Buffer<double>> sums_;
};

}  // namespace adabet
