#include "adabet/rips/adjacency.hpp"

#include <algorithm>

namespace adabet {

namespace {

constexpr std::size_t kEdgesPerCheck = std::size_t{1} << 15;

template <class Real, class Body>
void for_each_edge(std::span<const RankedEdge<Real>> edges, const Execution& execution, const Body& body) {
    for (std::size_t first = 0; first < edges.size(); first += kEdgesPerCheck) {
        execution.check();
        const std::size_t last = std::min(edges.size(), first + kEdgesPerCheck);
        for (std::size_t i = first; i < last; ++i)
            body(i, static_cast<std::size_t>(edges[i].a), static_cast<std::size_t>(edges[i].b));
    }
}

}  // namespace

template <class Real>
Adjacency::Adjacency(std::span<const RankedEdge<Real>> edges, std::size_t n, const Execution& execution)
    : start_(make_buffer<std::size_t>(execution.budget, n + 2, 0)),
      neighbours_(make_buffer<Neighbour>(execution.budget, 2 * edges.size())) {
    for_each_edge(edges, execution, [this](std::size_t, std::size_t a, std::size_t b) {
        ++start_[a + 2];
        ++start_[b + 2];
    });
    for (std::size_t v = 2; v < n + 2; ++v) start_[v] += start_[v - 1];
    for_each_edge(edges, execution, [this](std::size_t i, std::size_t a, std::size_t b) {
        const auto rank = static_cast<EdgeRank>(i);
        neighbours_[start_[a + 1]++] = {static_cast<Vertex>(b), rank};
        neighbours_[start_[b + 1]++] = {static_cast<Vertex>(a), rank};
    });
}

template Adjacency::Adjacency(std::span<const RankedEdge<float>>, std::size_t, const Execution&);
template Adjacency::Adjacency(std::span<const RankedEdge<double>>, std::size_t, const Execution&);

}  // namespace adabet
