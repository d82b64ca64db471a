#pragma once

#include <span>

#include "adabet/metric/sparse_entries.hpp"
#include "adabet/persistence/barcode.hpp"
#include "adabet/persistence/limits.hpp"
#include "adabet/rips/survey.hpp"

namespace adabet {

/// One closed loop of vertices for each interval: its birth edge and a path of fewest edges between the ends of that edge
/// among the edges before it.
///
/// That is a representative cycle: its edges are no longer than the birth, and of the births that it is a sum of the
/// youngest is the interval's own, which no boundary has as its youngest before it dies. So it is no boundary before the
/// interval's death, and the interval's own class among those that are born with it.
template <class Real>
void add_representatives(const Distances<Real>& distances, const Survey<Real>& survey, std::span<const Vertex> order,
                         const RunLimits& limits, Barcode<Real>& barcode, const Execution& execution);

/// The same given all edges up to the last birth at least, in the order of the filtration.
template <class Real>
void add_representatives(std::span<const RankedEdge<Real>> edges, std::size_t n, std::span<const Vertex> order,
                         Barcode<Real>& barcode, const Execution& execution);

/// The same of a graph, which is read again.
template <class Real>
void add_representatives(const SparseEntries& graph, Real threshold, Barcode<Real>& barcode,
                         const Execution& execution);

}  // namespace adabet
