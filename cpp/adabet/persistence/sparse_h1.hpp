#pragma once

#include <cstddef>
#include <span>

#include "adabet/execution.hpp"
#include "adabet/metric/sparse_entries.hpp"
#include "adabet/persistence/barcode.hpp"
#include "adabet/persistence/window.hpp"

namespace adabet {

/// Exact H1 (over Z/2) of the flag filtration of a graph, edges up to and including `threshold`: the same as `h1` of its
/// distance matrix, from lists of neighbours alone. Memory follows from points and edges, not from n^2.
template <class Real>
[[nodiscard]] Barcode<Real> h1_of_graph(const SparseEntries& graph, Real threshold, const Execution& execution);

/// The same of n points given all edges up to the window's end, in the order of the filtration. The barcode names edges by
/// the rows that `order` gives their ends; an empty one leaves them as they are.
template <class Real>
[[nodiscard]] Barcode<Real> h1_of_edges(Buffer<RankedEdge<Real>> edges, std::size_t n, const Window<Real>& window,
                                        const Execution& execution, std::span<const Vertex> order = {});

/// The number of H1 intervals with death - birth > min_persistence; where that is zero, next to no reduction is needed.
template <class Real>
[[nodiscard]] std::size_t count_bars_of_graph(const SparseEntries& graph, Real threshold, Real min_persistence,
                                              const Execution& execution);
template <class Real>
[[nodiscard]] std::size_t betti1_of_edges(Buffer<RankedEdge<Real>> edges, std::size_t n, const Window<Real>& window,
                                          const Execution& execution);

/// Working bytes that follow from the sizes alone: for a list of edges, and for a graph that still has to be read.
[[nodiscard]] std::size_t h1_of_edges_bytes(std::size_t n, std::size_t n_edges, std::size_t real_size, int n_threads);
[[nodiscard]] std::size_t h1_of_graph_bytes(std::size_t n, std::size_t n_entries, std::size_t n_edges,
                                            std::size_t real_size, int n_threads);

}  // namespace adabet
