#pragma once

#include "adabet/execution.hpp"
#include "adabet/metric/sparse_entries.hpp"
#include "adabet/rips/enclosing_radius.hpp"
#include "adabet/rips/length_key.hpp"

namespace adabet {

/// A graph as a list of its edges in the order of the filtration.
template <class Real>
struct SparseEdges {
    Buffer<RankedEdge<Real>> edges;   ///< up to and including the threshold
    EnclosingRadius<Real> enclosing;  ///< of the whole graph: finite only where some vertex is joined to all others
};

/// Reads a caller's graph; no matrix of n x n anything is made. Throws InvalidInput as read_sparse does.
template <class Real>
[[nodiscard]] SparseEdges<Real> read_edges(const SparseEntries& graph, Real threshold, const Execution& execution);

/// The working bytes of read_edges for so many entries, of which `n_edges` differ.
[[nodiscard]] std::size_t read_edges_bytes(std::size_t n, std::size_t n_entries, std::size_t n_edges,
                                           std::size_t real_size);

}  // namespace adabet
