#pragma once

#include <cstdint>
#include <vector>

#include "adabet/execution.hpp"
#include "adabet/rips/adjacency.hpp"

namespace adabet {

/// Two edges of a triangle, those from the ends a and b of the third.
struct Legs {
    EdgeRank to_a = no_rank;
    EdgeRank to_b = no_rank;
};

/// Edges whose lune has two components or more, in order; for each of these components the legs of one vertex.
struct CriticalLunes {
    static constexpr std::uint64_t most_first = (std::uint64_t{1} << 48) - 1;

    struct Item {
        EdgeRank edge;
        std::uint32_t count;
        std::uint64_t part : 16;   ///< which thread found it ...
        std::uint64_t first : 48;  ///< ... and where that put its first component
    };

    std::vector<Buffer<Legs>> parts;
    Buffer<Item> items;

    [[nodiscard]] std::span<const Legs> components(const Item& item) const {
        return {parts[item.part].data() + item.first, item.count};
    }
};

/// The lunes of a sparse graph's edges, each from the lists of neighbours: every edge on its own, so threads take blocks
/// of vertices. Lists of high degree are never walked for a short one's sake.
class SparseLunes {
public:
    SparseLunes(const Adjacency& graph, const Execution& execution);

    /// For each edge of rank in [begin, end): the legs of the vertex of its lune that is nearest to both ends; where the lune
    /// is empty, `apexes` is left as it is, and it starts as no_rank. Gives those with two components or more. `wanted`, where there is one, has a bit for each rank that
    /// is to be looked at.
    [[nodiscard]] CriticalLunes classify(EdgeRank begin, EdgeRank end, const Buffer<std::uint64_t>* wanted,
                                         Buffer<Legs>& apexes) const;

    /// Only tells empty lunes from others, whose legs are those of any vertex: quicker.
    void find_empty(EdgeRank begin, EdgeRank end, Buffer<Legs>& apexes) const;

    [[nodiscard]] static std::size_t bytes(std::size_t n, int n_threads);

private:
    class Worker;

    template <class Body>
    std::vector<Worker> for_each_vertex(const Body& body) const;
    [[nodiscard]] bool are_hubs(Vertex u, Vertex v) const;
    [[nodiscard]] EdgeRank hub_edge(Vertex u, Vertex v) const;

    const Adjacency& graph_;
    const Execution& execution_;
    std::size_t n_hubs_ = 0;
    Buffer<std::uint16_t> hub_of_;
    Buffer<EdgeRank> hub_edges_;  ///< n_hubs_ x n_hubs_
};

}  // namespace adabet
