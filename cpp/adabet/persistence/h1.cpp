#include "adabet/persistence/h1.hpp"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "adabet/errors.hpp"
#include "adabet/persistence/bars.hpp"
#include "adabet/persistence/births.hpp"
#include "adabet/persistence/limits.hpp"
#include "adabet/persistence/listed_edges.hpp"
#include "adabet/persistence/representatives.hpp"
#include "adabet/persistence/sorted_bars.hpp"
#include "adabet/persistence/sparse_h1.hpp"
#include "adabet/persistence/stopwatch.hpp"
#include "adabet/persistence/window.hpp"
#include "adabet/rips/few_edges.hpp"
#include "adabet/rips/relative_neighbourhood.hpp"

namespace adabet {

namespace {

/// Once they are counted, and before any of it is allocated: what births and bit rows need at least.
template <class Real>
void refuse_births(std::size_t n, std::size_t n_graph_edges, const RunLimits& limits, const Execution& execution) {
    const std::size_t births = n_graph_edges + 1 - std::min(n, n_graph_edges + 1);
    const std::size_t needed =
        execution.budget.used() + Births<Real>::bytes(n, n_graph_edges) + run_bytes(n, births, limits);
    if (births > 0 && needed > execution.budget.limit())
        throw BudgetExceeded(execution.budget.limit(), needed,
                             std::to_string(n) + " points and " + std::to_string(births) + " births");
}

/// By lists of neighbours; the survey is given back first.
template <class Real>
Barcode<Real> h1_by_lists(const Distances<Real>& distances, std::optional<Survey<Real>>& survey,
                          const Window<Real>& window, Buffer<RankedEdge<Real>> edges, const Execution& execution,
                          const H1Options& options) {
    const std::size_t n_edges = edges.size();
    if (!options.representatives) survey.reset();
    Barcode<Real> barcode = h1_of_edges(std::move(edges), distances.n(), window, execution, options.order);
    if (survey) {
        Stopwatch watch;
        const auto again = few_edges(distances, survey->bounds, window.longest, n_edges, n_edges, execution);
        if (!again) throw std::logic_error("the edges that were listed once are more the second time");
        add_representatives<Real>(*again, distances.n(), options.order, barcode, execution);
        watch.lap(barcode.stats.seconds_representatives);
    }
    return barcode;
}

}  // namespace

template <class Real>
Barcode<Real> h1(const Distances<Real>& distances, Real threshold, const Execution& execution,
                 const H1Options& options) {
    Barcode<Real> barcode;
    Stats& stats = barcode.stats;
    Stopwatch watch;
    const std::size_t n = distances.n();
    const RunLimits limits = run_limits(n, sizeof(Real), distances.is_resident(), execution);
    if (threshold == infinity<Real> && options.plan != PlanKind::sparse) refuse_beyond(limits, n, execution);
    std::optional<Survey<Real>> survey = survey_distances(distances, execution);
    watch.lap(stats.seconds_survey);
    const Window<Real> window = filtration_window(survey->enclosing, threshold);
    if (auto edges = listed_edges(distances, *survey, window, options.plan, limits.fit, execution)) {
        double seconds = 0;
        watch.lap(seconds);
        Barcode<Real> listed = h1_by_lists(distances, survey, window, std::move(*edges), execution, options);
        listed.stats.seconds_survey = stats.seconds_survey;
        listed.stats.seconds_edges += seconds;
        return listed;
    }
    barcode.plan = distances.is_resident() ? PlanKind::dense : PlanKind::streamed;
    const auto graph = relative_neighbourhood_graph(distances, *survey, window.longest, execution);
    refuse_births<Real>(n, graph.size(), limits, execution);
    const Births<Real> births(graph, n, window.longest_birth, execution.budget);
    barcode.enclosing_radius = window.enclosing.radius;
    barcode.components = births.components();
    for (const Real length : births.merges())
        if (length > 0) barcode.h0_deaths.push_back(length);
    stats.births = births.size();
    watch.lap(stats.seconds_rng);
    write_sorted(find_bars(distances, *survey, births, window, limits, stats, execution), options.order, barcode,
                 execution);
    if (options.representatives) {
        watch = Stopwatch{};
        add_representatives(distances, *survey, options.order, limits, barcode, execution);
        watch.lap(stats.seconds_representatives);
    }
    stats.peak_bytes = execution.budget.peak();
    return barcode;
}

template Barcode<float> h1(const Distances<float>&, float, const Execution&, const H1Options&);
template Barcode<double> h1(const Distances<double>&, double, const Execution&, const H1Options&);

}  // namespace adabet
