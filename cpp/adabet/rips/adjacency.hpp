#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "adabet/execution.hpp"
#include "adabet/rips/length_key.hpp"

namespace adabet {

/// An edge's place in the list of all edges, in the order of the filtration: two ranks compare as the edges do.
using EdgeRank = std::uint32_t;
inline constexpr EdgeRank no_rank = std::numeric_limits<EdgeRank>::max();

/// For each vertex its neighbours, nearest first. The neighbours up to some edge are the beginning of a list.
class Adjacency {
public:
    struct Neighbour {
        Vertex vertex;
        EdgeRank rank;
    };

    /// `edges` in the order of the filtration; fewer than no_rank.
    template <class Real>
    Adjacency(std::span<const RankedEdge<Real>> edges, std::size_t n, const Execution& execution);

    [[nodiscard]] std::size_t size() const { return start_.size() - 2; }
    [[nodiscard]] std::size_t degree(Vertex v) const {
        return start_[static_cast<std::size_t>(v) + 1] - start_[static_cast<std::size_t>(v)];
    }
    [[nodiscard]] std::span<const Neighbour> of(Vertex v) const {
        return {neighbours_.data() + start_[static_cast<std::size_t>(v)], degree(v)};
    }
    /// Where v's list begins, among those of all vertices one after another.
    [[nodiscard]] std::size_t start(Vertex v) const { return start_[static_cast<std::size_t>(v)]; }

    /// Gives the memory back; nothing may be asked after that.
    void clear() {
        start_ = Buffer<std::size_t>(2, 0, start_.get_allocator());
        neighbours_ = Buffer<Neighbour>(neighbours_.get_allocator());
    }

    [[nodiscard]] static std::size_t bytes(std::size_t n, std::size_t n_edges) {
        return (n + 2) * sizeof(std::size_t) + 2 * n_edges * sizeof(Neighbour);
    }

private:
    Buffer<std::size_t> start_;
    Buffer<Neighbour> neighbours_;
};

}  // namespace adabet
