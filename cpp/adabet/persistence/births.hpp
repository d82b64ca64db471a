#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "adabet/execution.hpp"
#include "adabet/rips/length_key.hpp"

namespace adabet {

/// Number of a birth, in the order of the filtration.
using BirthIndex = std::int32_t;

/// Splits the relative neighbourhood graph into a minimum spanning forest, which is H0, and the edges that give birth to
/// one H1 class each.
template <class Real>
class Births {
public:
    static constexpr BirthIndex kNoNeighbour = -2;  ///< not an edge of the relative neighbourhood graph
    static constexpr BirthIndex kTree = -1;         ///< an edge of the forest, or a birth too late to count

    /// `graph` in the order of the filtration; births of keys above `longest` do not count.
    Births(const Buffer<RankedEdge<Real>>& graph, std::size_t n, LengthKey<Real> longest, MemoryBudget& budget);

    /// At least, of a graph of n points with so many edges.
    [[nodiscard]] static std::size_t bytes(std::size_t n, std::size_t n_edges) {
        return 2 * n * sizeof(std::size_t) + n_edges * sizeof(Neighbour) +
               (n_edges - std::min(n, n_edges)) * sizeof(RankedEdge<Real>);
    }

    [[nodiscard]] const Buffer<RankedEdge<Real>>& edges() const { return edges_; }
    [[nodiscard]] std::size_t size() const { return edges_.size(); }
    [[nodiscard]] const Buffer<Real>& merges() const { return merges_; }  ///< lengths of the forest's edges, rising
    [[nodiscard]] std::size_t components() const { return components_; }

    /// The birth that {a, b}, a < b, gives; kTree or kNoNeighbour otherwise.
    [[nodiscard]] BirthIndex find(Vertex a, Vertex b) const {
        std::size_t low = first_[static_cast<std::size_t>(a)];
        std::size_t high = first_[static_cast<std::size_t>(a) + 1];
        while (high - low > 8) {
            const std::size_t middle = low + (high - low) / 2;
            (neighbours_[middle].b <= b ? low : high) = middle;
        }
        for (std::size_t i = low; i < high; ++i)
            if (neighbours_[i].b == b) return neighbours_[i].birth;
        return kNoNeighbour;
    }

private:
    struct Neighbour {
        Vertex b;
        BirthIndex birth;
    };

    Buffer<RankedEdge<Real>> edges_;
    Buffer<Real> merges_;
    std::size_t components_;
    Buffer<std::size_t> first_;  ///< neighbours of a with larger index: [first_[a], first_[a + 1]), rising
    Buffer<Neighbour> neighbours_;
};

}  // namespace adabet
