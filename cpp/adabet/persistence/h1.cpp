#include "adabet/persistence/h1.hpp"

#include <algorithm>
#include <utility>

#include "adabet/persistence/bars.hpp"
#include "adabet/persistence/births.hpp"
#include "adabet/persistence/limits.hpp"
#include "adabet/persistence/representatives.hpp"
#include "adabet/persistence/sorted_bars.hpp"
#include "adabet/persistence/stopwatch.hpp"
#include "adabet/persistence/window.hpp"
#include "adabet/rips/relative_neighbourhood.hpp"

namespace adabet {

namespace {

/// Ends become the rows they stand for.
template <class Real>
void rename(Buffer<Bar<Real>>& bars, std::span<const Vertex> order) {
    const auto row = [&](Vertex v) { return order[static_cast<std::size_t>(v)]; };
    for (Bar<Real>& bar : bars) {
        const Vertex x = row(bar.birth.a);
        const Vertex y = row(bar.birth.b);
        bar.birth = {bar.birth.key, std::max(x, y), std::min(x, y)};
        if (bar.death_edge.a < 0) continue;
        const Vertex u = row(bar.death_edge.a);
        const Vertex v = row(bar.death_edge.b);
        bar.death_edge = {std::min(u, v), std::max(u, v)};
    }
}

}  // namespace

template <class Real>
Barcode<Real> h1(const Distances<Real>& distances, Real threshold, const Execution& execution,
                 std::span<const Vertex> order, bool representatives) {
    Barcode<Real> barcode;
    Stopwatch watch;
    const RunLimits limits = run_limits(distances.n(), sizeof(Real), distances.is_resident(), execution);
    Survey<Real> survey = survey_distances(distances, execution);
    watch.lap(barcode.stats.seconds_survey);
    const Window<Real> window = filtration_window(survey.enclosing, threshold);
    const auto graph = relative_neighbourhood_graph(distances, survey, window.longest, execution);
    const Births<Real> births(graph, distances.n(), window.longest_birth, execution.budget);
    barcode.enclosing_radius = window.enclosing.radius;
    barcode.components = births.components();
    for (const Real length : births.merges())
        if (length > 0) barcode.h0_deaths.push_back(length);
    barcode.stats.births = births.size();
    watch.lap(barcode.stats.seconds_rng);
    Buffer<Bar<Real>> bars = find_bars(distances, survey, births, window, limits, barcode.stats, execution);
    if (!order.empty()) rename(bars, order);
    write_sorted(std::move(bars), barcode, execution);
    if (representatives) {
        watch = Stopwatch{};
        add_representatives(distances, survey, order, limits, barcode, execution);
        watch.lap(barcode.stats.seconds_representatives);
    }
    barcode.stats.peak_bytes = execution.budget.peak();
    return barcode;
}

template Barcode<float> h1(const Distances<float>&, float, const Execution&, std::span<const Vertex>, bool);
template Barcode<double> h1(const Distances<double>&, double, const Execution&, std::span<const Vertex>, bool);

}  // namespace adabet
