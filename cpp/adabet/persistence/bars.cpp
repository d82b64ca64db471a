#include "adabet/persistence/bars.hpp"

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "adabet/persistence/bit_filtration.hpp"
#include "adabet/persistence/far_filtration.hpp"
#include "adabet/persistence/stopwatch.hpp"
#include "adabet/rips/classifier.hpp"
#include "adabet/rips/edge_stream.hpp"
#include "adabet/rips/slot_order.hpp"

namespace adabet {

namespace {

/// The first batch of edges, in multiples of n: most sparse clouds need no second one.
constexpr std::size_t kFirstBatchFactor = 8;
constexpr std::size_t kSmallestBatch = 4096;

/// Takes sorted edges in, a chunk at a time, and hands those that can kill a class to the reduction.
template <class Real>
class Deaths {
public:
    Deaths(const Distances<Real>& distances, const Survey<Real>& survey, const Births<Real>& births, int graph_copies,
           Stats& stats, const Execution& execution)
        : stats_(stats),
          execution_(execution),
          classifier_(slot_order(survey, distances.n(), execution), graph_copies, execution),
          far_(distances.are_far()
                   ? std::make_unique<FarFiltration<Real>>(distances, classifier_.graph(), births, execution)
                   : nullptr),
          near_(far_ ? nullptr : make_near(distances)),
          reduction_(far_ ? far_->filtration() : *near_, births, stats, execution) {
        for (int helper = 1; helper < execution.n_threads; ++helper) {
            if (!far_) helpers_.push_back(make_near(distances));
            reduction_.add_helper(far_ ? far_->filtration() : *helpers_.back());
        }
    }

    [[nodiscard]] Reduction<Real>& reduction() { return reduction_; }

    void process(std::span<const RankedEdge<Real>> edges) {
        Stopwatch watch;
        classifier_.process(edges, [&](std::span<const RankedEdge<Real>> stretch, const CriticalEdges& critical) {
            stats_.edges += stretch.size();
            watch.lap(stats_.seconds_lunes);
            if (far_) far_->prepare(stretch, critical);
            reduction_.kill_all(stretch, critical);
            watch.lap(stats_.seconds_columns);
            execution_.check();
            if (execution_.report)
                execution_.report(
                    {stats_.edges, stats_.births, reduction_.alive(), static_cast<double>(stretch.back().length())});
            return !reduction_.all_dead();
        });
        watch.lap(stats_.seconds_lunes);
    }

private:
    [[nodiscard]] std::unique_ptr<BitFiltration<Real>> make_near(const Distances<Real>& distances) const {
        return std::make_unique<BitFiltration<Real>>(distances, classifier_.graph(), execution_.budget);
    }

    Stats& stats_;
    const Execution& execution_;
    Classifier<Real> classifier_;
    std::unique_ptr<FarFiltration<Real>> far_;   ///< where single distances are not to be asked for, or ...
    std::unique_ptr<BitFiltration<Real>> near_;  ///< ... where they are
    std::vector<std::unique_ptr<BitFiltration<Real>>> helpers_;
    Reduction<Real> reduction_;
};

}  // namespace

template <class Real>
Buffer<Bar<Real>> find_bars(const Distances<Real>& distances, const Survey<Real>& survey, const Births<Real>& births,
                            const Window<Real>& window, const RunLimits& limits, Stats& stats,
                            const Execution& execution) {
    if (births.size() == 0) return make_buffer<Bar<Real>>(execution.budget);
    Stopwatch watch;
    Deaths<Real> deaths(distances, survey, births, limits.graph_copies, stats, execution);
    EdgeStream<Real> stream(distances, survey.bounds, window.longest_birth,
                            std::max(kSmallestBatch, kFirstBatchFactor * distances.n()), limits.largest_batch,
                            execution);
    while (!deaths.reduction().all_dead() && stream.next()) {
        watch.lap(stats.seconds_edges);
        deaths.process(stream.edges());
        watch = Stopwatch{};
    }
    // At the enclosing radius everything dies, whatever edge of that length does it; without one, what is left stays.
    if (window.is_cone)
        deaths.reduction().end_all(window.enclosing.radius, window.enclosing.edge);
    else
        deaths.reduction().end_all(infinity<Real>, Edge{});
    return deaths.reduction().take_bars();
}

template Buffer<Bar<float>> find_bars(const Distances<float>&, const Survey<float>&, const Births<float>&,
                                      const Window<float>&, const RunLimits&, Stats&, const Execution&);
template Buffer<Bar<double>> find_bars(const Distances<double>&, const Survey<double>&, const Births<double>&,
                                       const Window<double>&, const RunLimits&, Stats&, const Execution&);

}  // namespace adabet
