#pragma once

#include <cstddef>
#include <vector>

#include "adabet/memory_budget.hpp"
#include "adabet/types.hpp"

namespace adabet {

/// Breadth-first search in a graph that can be asked for neighbours: paths of fewest edges.
class ShortestPath {
public:
    ShortestPath(std::size_t n, MemoryBudget& budget)
        : parent_(make_buffer<Vertex>(budget, n, kUnseen)), queue_(make_buffer<Vertex>(budget)) {}

    /// Appends the vertices from `from` to `to`, both included. `for_each_neighbour(v, visit)` calls visit(w) until that
    /// returns false; `joined(v, w)` tells whether two vertices are. False, and nothing appended, where there is no path.
    template <class ForEachNeighbour, class Joined>
    bool find(Vertex from, Vertex to, const ForEachNeighbour& for_each_neighbour, const Joined& joined,
              std::vector<Vertex>& path) {
        see(to, to);  // from the far end, so that the path comes out in order
        bool found = from == to;
        for (std::size_t at = 0; at < queue_.size() && !found; ++at) {
            const Vertex v = queue_[at];
            if (joined(v, from)) {
                see(from, v);
                found = true;
                break;
            }
            for_each_neighbour(v, [&](Vertex w) {
                if (parent_[index(w)] == kUnseen) see(w, v);
                return true;
            });
        }
        if (found) {
            Vertex v = from;
            for (; v != to; v = parent_[index(v)]) path.push_back(v);
            path.push_back(to);
        }
        for (const Vertex v : queue_) parent_[index(v)] = kUnseen;
        queue_.clear();
        return found;
    }

private:
    static constexpr Vertex kUnseen = -1;
    static std::size_t index(Vertex v) { return static_cast<std::size_t>(v); }

    void see(Vertex v, Vertex parent) {
        parent_[index(v)] = parent;
        queue_.push_back(v);
    }

    Buffer<Vertex> parent_;
    Buffer<Vertex> queue_;  ///< all that were seen
};

}  // namespace adabet
