#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>

#include "adabet/metric/narrow_pairwise.hpp"
#include "adabet/metric/normalise.hpp"
#include "adabet/metric/pairwise_run.hpp"

namespace adabet {

/// Distances of one cloud after another; scratch is kept for as long as clouds are alike.
template <class Real>
class CloudRunner {
public:
    CloudRunner(Isa isa, Metric metric, MemoryBudget& budget) : isa_(isa), metric_(metric), budget_(budget) {}

    /// `next` is the cloud that this runner is likely to get next, if there is one; it may be read already.
    void run(const PointCloud& points, std::span<const Vertex> order, const DistanceOutput<Real>& out,
             const Execution& execution, const PointCloud* next = nullptr) {
        if (out.n == 0) return;
        if (points.d == 0) return write_zeros(out);
        PointCloud ordered = points;
        ordered.n = out.n;
        const PairwisePlan plan = plan_pairwise(ordered, metric_, sizeof(Real), execution.n_threads);
        if (plan != plan_) {  // before there is more
            give_back();
            plan_ = plan;
        }
        if (plan.narrow) return narrow_pairwise(isa_, points, metric_, plan, out, order, execution);
        const Kernels& table = kernels(isa_);
        RowNorm* norms = nullptr;
        if (normalises(metric_)) {
            if (!norms_ || norms_->size() < points.n) {
                norms_.reset();
                norms_.emplace(make_buffer<RowNorm>(budget_, points.n));
            }
            norms = norms_->data();
            find_row_norms(points, metric_, table, execution, plan.workers, norms);
        }
        const PackSource source{.points = points, .table = table, .norms = norms, .order = PointOrder(order)};
        const bool alike = next != nullptr && next->n == points.n && next->d == points.d && order.empty();
        const PackSource after{.points = alike ? *next : points, .table = table, .norms = norms};
        const PackSource* const ahead = alike ? &after : nullptr;
        if (plan.in_float) {
            if (!in_float_) in_float_.emplace(plan, metric_, budget_);
            in_float_->run(source, out, execution, ahead);
        } else {
            if (!in_double_) in_double_.emplace(plan, metric_, budget_);
            in_double_->run(source, out, execution, ahead);
        }
    }

    /// Frees the scratch.
    void give_back() {
        in_float_.reset();
        in_double_.reset();
        norms_.reset();
        plan_ = PairwisePlan{};
    }

private:
    static void write_zeros(const DistanceOutput<Real>& out) {
        if (out.form == MatrixForm::condensed) {
            std::fill_n(out.out, entries_of(out.form, out.n), Real{0});
        } else {
            for (std::size_t i = 0; i < out.n; ++i) std::fill_n(out.at(i, 0), out.n, Real{0});
        }
    }

    Isa isa_;
    Metric metric_;
    MemoryBudget& budget_;
    PairwisePlan plan_;
    std::optional<Buffer<RowNorm>> norms_;
    std::optional<PairwiseRun<float, Real>> in_float_;
    std::optional<PairwiseRun<double, Real>> in_double_;
};

}  // namespace adabet
