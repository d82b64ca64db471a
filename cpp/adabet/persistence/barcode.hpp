#pragma once

#include <cstddef>
#include <vector>

#include "adabet/persistence/plan.hpp"
#include "adabet/types.hpp"

namespace adabet {

/// What a run did; seconds by stage, and counts.
struct Stats {
    double seconds_survey = 0;   ///< enclosing radius, bounds of groups of points
    double seconds_rng = 0;      ///< births: relative neighbourhood graph and spanning forest
    double seconds_edges = 0;    ///< collecting and sorting edges
    double seconds_lunes = 0;    ///< classifying edges by the components of their lunes
    double seconds_columns = 0;  ///< flow and reduction
    double seconds_representatives = 0;
    std::size_t edges = 0;  ///< edges that were looked at in order
    std::size_t births =
        0;  ///< edges that bring an H1 class, of length below the enclosing radius and up to the threshold
    std::size_t critical_cells = 0;
    std::size_t peak_bytes = 0;  ///< the budget's peak: working memory beyond input and output
};

/// H1 and, as the by-product it is, H0. Intervals have death > birth and are sorted by (birth, death).
template <class Real>
struct Barcode {
    std::vector<Interval<Real>> intervals;
    std::vector<Edge> birth_edges;  ///< one for each interval
    std::vector<Edge> death_edges;  ///< one for each interval; {-1, -1} where it is essential
    std::vector<Real> h0_deaths;    ///< finite deaths > 0, rising; H0 births are all 0
    std::size_t components = 0;     ///< infinite H0 bars
    Real enclosing_radius = infinity<Real>;
    std::vector<Vertex> loop_vertices;   ///< where representatives were asked for: one loop for each interval ...
    std::vector<std::size_t> loop_ends;  ///< ... up to loop_vertices[loop_ends[i]]
    PlanKind plan = PlanKind::dense;     ///< how it was made
    Stats stats;
};

}  // namespace adabet
