#pragma once

// H1 by the definition: the boundary matrix of all triangles, reduced column by column. Slow, and shares nothing with the
// engine but the order of edges.

#include <algorithm>
#include <cstddef>
#include <limits>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "adabet/types.hpp"

namespace textbook {

template <class Real>
struct Bar {
    Real birth;
    Real death;
    adabet::Edge birth_edge;
    adabet::Edge death_edge;

    friend bool operator==(const Bar&, const Bar&) = default;
};

/// Bars with death > birth of the filtration up to and including `threshold`, sorted by (birth, death, larger end, smaller
/// end of the birth edge).
template <class Real>
std::vector<Bar<Real>> h1(const adabet::DistanceMatrix<Real>& d, Real threshold) {
    using Place = std::tuple<Real, std::size_t, std::size_t>;  // length, larger end, smaller end
    std::vector<Place> edges;
    for (std::size_t b = 0; b < d.n; ++b)
        for (std::size_t a = 0; a < b; ++a)
            if (d(a, b) <= threshold && d(a, b) < std::numeric_limits<Real>::infinity())
                edges.emplace_back(d(a, b), b, a);
    std::sort(edges.begin(), edges.end());
    std::map<std::pair<std::size_t, std::size_t>, std::size_t> index;
    for (std::size_t i = 0; i < edges.size(); ++i) index[{std::get<2>(edges[i]), std::get<1>(edges[i])}] = i;

    std::vector<std::set<std::size_t>> triangles;  // each as its three edges; its place is its youngest edge
    for (std::size_t a = 0; a < d.n; ++a) {
        for (std::size_t b = a + 1; b < d.n; ++b) {
            for (std::size_t c = b + 1; c < d.n; ++c) {
                if (index.contains({a, b}) && index.contains({a, c}) && index.contains({b, c}))
                    triangles.push_back({index[{a, b}], index[{a, c}], index[{b, c}]});
            }
        }
    }
    std::stable_sort(triangles.begin(), triangles.end(),
                     [](const auto& x, const auto& y) { return *x.rbegin() < *y.rbegin(); });

    // An edge gives birth unless it joins two components.
    std::vector<std::size_t> component(d.n);
    for (std::size_t v = 0; v < d.n; ++v) component[v] = v;
    std::vector<bool> positive(edges.size());
    for (std::size_t i = 0; i < edges.size(); ++i) {
        const std::size_t from = component[std::get<1>(edges[i])];
        const std::size_t to = component[std::get<2>(edges[i])];
        positive[i] = from == to;
        if (from != to) std::replace(component.begin(), component.end(), from, to);
    }

    const auto edge_of = [&](std::size_t i) {
        return adabet::Edge{static_cast<adabet::Vertex>(std::get<2>(edges[i])),
                            static_cast<adabet::Vertex>(std::get<1>(edges[i]))};
    };
    std::vector<Bar<Real>> bars;
    std::map<std::size_t, std::set<std::size_t>> reduced;  // pivot -> column
    for (const std::set<std::size_t>& triangle : triangles) {
        const std::size_t youngest = *triangle.rbegin();
        std::set<std::size_t> column = triangle;
        while (!column.empty() && reduced.contains(*column.rbegin())) {
            for (const std::size_t e : std::set<std::size_t>(reduced[*column.rbegin()]))
                if (!column.erase(e)) column.insert(e);
        }
        if (column.empty()) continue;
        const std::size_t pivot = *column.rbegin();
        positive[pivot] = false;
        reduced[pivot] = column;
        const Real birth = std::get<0>(edges[pivot]);
        const Real death = std::get<0>(edges[youngest]);
        if (death > birth) bars.push_back({birth, death, edge_of(pivot), edge_of(youngest)});
    }
    for (std::size_t i = 0; i < edges.size(); ++i)
        if (positive[i])
            bars.push_back({std::get<0>(edges[i]), std::numeric_limits<Real>::infinity(), edge_of(i), adabet::Edge{}});
    std::sort(bars.begin(), bars.end(), [](const Bar<Real>& x, const Bar<Real>& y) {
        return std::tuple(x.birth, x.death, x.birth_edge.b, x.birth_edge.a) <
               std::tuple(y.birth, y.death, y.birth_edge.b, y.birth_edge.a);
    });
    return bars;
}

}  // namespace textbook
