#pragma once

// Sparse graphs as callers give them: one triangle or both, in any order, edges of length zero, "no edge" spelled out.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "adabet/metric/matrix_input.hpp"
#include "clouds.hpp"

namespace graphs {

template <class Real>
struct Graph {
    std::size_t n = 0;
    std::vector<std::int64_t> rows;
    std::vector<std::int64_t> columns;
    std::vector<Real> lengths;

    void add(std::size_t i, std::size_t j, Real length) {
        rows.push_back(static_cast<std::int64_t>(i));
        columns.push_back(static_cast<std::int64_t>(j));
        lengths.push_back(length);
    }
    [[nodiscard]] adabet::SparseEntries entries() const {
        const auto scalar = std::is_same_v<Real, float> ? adabet::ScalarType::float32 : adabet::ScalarType::float64;
        const auto count = lengths.size();
        return {
            n, rows.data(), columns.data(), {lengths.data(), scalar, 1, count, static_cast<std::ptrdiff_t>(count), 1}};
    }
};

/// A share of a matrix's entries: upper triangle, lower, either for each pair, or both; sorted or not; with a diagonal or not.
template <class Real>
Graph<Real> from_matrix(const clouds::Matrix<Real>& matrix, double kept, clouds::Random& random) {
    Graph<Real> graph{matrix.n, {}, {}, {}};
    const std::size_t form = random.below(4);
    for (std::size_t i = 0; i < matrix.n; ++i) {
        if (random.below(5) == 0) graph.add(i, i, Real{0});
        for (std::size_t j = i + 1; j < matrix.n; ++j) {
            if (random.uniform() >= kept) continue;
            const Real length = matrix.data[i * matrix.n + j];
            const bool lower = form == 1 || (form == 2 && random.below(2) == 0);
            if (form == 3 || !lower) graph.add(i, j, length);
            if (form == 3 || lower) graph.add(j, i, length);
        }
    }
    // Entries of both triangles without all their mirror images are refused, so mixed ones are all turned one way.
    if (form == 2)
        for (std::size_t k = 0; k < graph.rows.size(); ++k)
            if (graph.rows[k] > graph.columns[k]) std::swap(graph.rows[k], graph.columns[k]);
    for (std::size_t k = graph.rows.size(); k-- > 1;) {
        const std::size_t other = random.below(k + 1);
        std::swap(graph.rows[k], graph.rows[other]);
        std::swap(graph.columns[k], graph.columns[other]);
        std::swap(graph.lengths[k], graph.lengths[other]);
    }
    return graph;
}

inline const std::vector<std::string>& shapes() {
    static const std::vector<std::string> names{"star",  "wheel", "complete", "bipartite", "path",
                                                "cycle", "torus", "hubs",     "near",      "few_hubs"};
    return names;
}

/// About n vertices; lengths tied in many shapes.
template <class Real>
Graph<Real> make(const std::string& shape, std::size_t n, std::uint64_t seed) {
    clouds::Random random(seed);
    Graph<Real> graph{n, {}, {}, {}};
    const auto length = [&] {
        return static_cast<Real>(seed % 3 == 0 ? 1 : 1 + (seed % 3 == 1 ? random.below(5) : random.below(1000000)));
    };
    const std::size_t side = std::max<std::size_t>(3, static_cast<std::size_t>(std::sqrt(static_cast<double>(n))));
    if (shape == "star" || shape == "wheel")
        for (std::size_t i = 1; i < n; ++i) graph.add(0, i, length());
    if (shape == "wheel" || shape == "cycle")
        for (std::size_t i = 1; i < n; ++i)
            graph.add(std::min(i, i % (n - 1) + 1), std::max(i, i % (n - 1) + 1), length());
    if (shape == "path")
        for (std::size_t i = 1; i < n; ++i) graph.add(i - 1, i, length());
    if (shape == "complete" || shape == "bipartite") {
        graph.n = n = std::min<std::size_t>(n, 220);
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = i + 1; j < n; ++j)
                if (shape == "complete" || (i + j) % 2 == 1) graph.add(i, j, length());
    }
    if (shape == "torus") {
        graph.n = side * side;
        for (std::size_t x = 0; x < side; ++x) {
            for (std::size_t y = 0; y < side; ++y) {
                const std::size_t here = x * side + y;
                for (const std::size_t next : {(x + 1) % side * side + y, x * side + (y + 1) % side})
                    graph.add(std::min(here, next), std::max(here, next), length());
            }
        }
    }
    if (shape == "hubs" || shape == "few_hubs") {  // hubs joined to all and to each other; the rest nearly a path
        const std::size_t hubs = shape == "hubs" ? std::max<std::size_t>(4, n / 60) : 2;
        for (std::size_t h = 0; h < hubs; ++h)
            for (std::size_t i = h + 1; i < n; ++i) graph.add(h, i, length());
        for (std::size_t i = hubs; i + 3 < n; ++i) {
            graph.add(i, i + 1, length());
            graph.add(i, i + 3, length());
        }
    }
    if (shape == "near") {  // points on a line of small squares, each joined to those close in number
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t k = 1; k < 9 && i + k < n; ++k)
                if (random.below(4) != 0) graph.add(i, i + k, length());
    }
    return graph;
}

}  // namespace graphs
