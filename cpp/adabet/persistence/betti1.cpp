#include "adabet/persistence/births.hpp"
#include "adabet/persistence/h1.hpp"
#include "adabet/persistence/ties.hpp"
#include "adabet/persistence/window.hpp"
#include "adabet/rips/relative_neighbourhood.hpp"

namespace adabet {

/// Every birth below the enclosing radius is a bar unless it dies at its own length, so the count needs no deaths at all:
/// births, less the bars of length zero.
template <class Real>
std::size_t betti1(const DistanceMatrix<Real>& distances, Real threshold, const Execution& execution) {
    const Window<Real> window = filtration_window(distances, threshold, execution);
    const auto graph = relative_neighbourhood_graph(distances, window.longest, execution);
    const Births<Real> births(graph, distances.n, window.longest_birth, execution.budget);
    const ZeroBars zero = count_zero_bars(distances, births, execution);
    if (zero.settled) return births.size() - zero.count;
    // Many ties, as on a grid. Nothing beyond the last birth can be a bar of length zero.
    return h1(distances, births.edges().back().length(), execution).intervals.size();
}

template std::size_t betti1(const DistanceMatrix<float>&, float, const Execution&);
template std::size_t betti1(const DistanceMatrix<double>&, double, const Execution&);

}  // namespace adabet
