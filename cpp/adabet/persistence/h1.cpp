#include "adabet/persistence/h1.hpp"

#include <algorithm>
#include <tuple>

#include "adabet/persistence/bars.hpp"
#include "adabet/persistence/births.hpp"
#include "adabet/persistence/limits.hpp"
#include "adabet/persistence/stopwatch.hpp"
#include "adabet/persistence/window.hpp"
#include "adabet/rips/relative_neighbourhood.hpp"

namespace adabet {

namespace {

template <class Real>
void write_sorted(Buffer<Bar<Real>> bars, Barcode<Real>& barcode) {
    const auto key = [](const Bar<Real>& bar) {
        return std::tuple(bar.birth.key, bar.death, bar.birth.b, bar.birth.a);
    };
    std::sort(bars.begin(), bars.end(), [&](const Bar<Real>& x, const Bar<Real>& y) { return key(x) < key(y); });
    barcode.intervals.reserve(bars.size());
    barcode.birth_edges.reserve(bars.size());
    barcode.death_edges.reserve(bars.size());
    for (const Bar<Real>& bar : bars) {
        barcode.intervals.push_back({bar.birth.length(), bar.death});
        barcode.birth_edges.push_back(bar.birth.edge());
        barcode.death_edges.push_back(bar.death_edge);
    }
}

}  // namespace

template <class Real>
Barcode<Real> h1(const Distances<Real>& distances, Real threshold, const Execution& execution) {
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
    write_sorted(find_bars(distances, survey, births, window, limits, barcode.stats, execution), barcode);
    barcode.stats.peak_bytes = execution.budget.peak();
    return barcode;
}

template Barcode<float> h1(const Distances<float>&, float, const Execution&);
template Barcode<double> h1(const Distances<double>&, double, const Execution&);

}  // namespace adabet
