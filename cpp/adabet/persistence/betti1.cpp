#include <algorithm>
#include <utility>

#include "adabet/persistence/bars.hpp"
#include "adabet/persistence/births.hpp"
#include "adabet/persistence/few_points.hpp"
#include "adabet/persistence/h1.hpp"
#include "adabet/persistence/limits.hpp"
#include "adabet/persistence/listed_edges.hpp"
#include "adabet/persistence/sparse_h1.hpp"
#include "adabet/persistence/ties.hpp"
#include "adabet/persistence/window.hpp"
#include "adabet/rips/relative_neighbourhood.hpp"

namespace adabet {

/// Every birth below the enclosing radius is a bar unless it dies at its own length, so the count needs no deaths at all:
/// births, less the bars of length zero.
template <class Real>
std::size_t betti1(const Distances<Real>& distances, Real threshold, const Execution& execution) {
    if (distances.is_resident())
        if (const auto count = betti1_of_few_points(distances.matrix(), threshold)) return *count;
    const Survey<Real> survey = survey_distances(distances, execution);
    Window<Real> window = filtration_window(survey.enclosing, threshold);
    const auto graph = relative_neighbourhood_graph(distances, survey, window.longest, execution);
    const Births<Real> births(graph, distances.n(), window.longest_birth, execution.budget);
    const ZeroBars zero = count_zero_bars(distances, survey.bounds, births, execution);
    if (zero.settled) return births.size() - zero.count;
    // Many ties, as on a grid. Beyond the last birth there is no bar of length zero: what is left then is a bar.
    const RunLimits limits = run_limits(distances.n(), sizeof(Real), distances.is_resident(), execution);
    if (threshold == infinity<Real>) refuse_beyond(limits, distances.n(), execution);
    if (auto edges = listed_edges(distances, survey, window, {}, limits.fit, execution))
        return betti1_of_edges(std::move(*edges), distances.n(), window, execution);
    window.longest_birth = births.edges().back().key;
    Stats stats;
    return find_bars(distances, survey, births, window, limits, stats, execution).size();
}

template <class Real>
std::size_t count_bars(const Distances<Real>& distances, Real threshold, Real min_persistence,
                       const Execution& execution) {
    if (!(min_persistence > 0)) return betti1(distances, threshold, execution);
    const Barcode<Real> barcode = h1(distances, threshold, execution);
    const auto longer = [min_persistence](const Interval<Real>& bar) {
        return bar.death - bar.birth > min_persistence;
    };
    return static_cast<std::size_t>(std::count_if(barcode.intervals.begin(), barcode.intervals.end(), longer));
}

template std::size_t betti1(const Distances<float>&, float, const Execution&);
template std::size_t betti1(const Distances<double>&, double, const Execution&);
template std::size_t count_bars(const Distances<float>&, float, float, const Execution&);
template std::size_t count_bars(const Distances<double>&, double, double, const Execution&);

}  // namespace adabet
