#pragma once

#include <cstddef>
#include <numeric>
#include <utility>

#include "adabet/memory_budget.hpp"
#include "adabet/types.hpp"

namespace adabet {

/// Disjoint sets with path halving and union by size.
class Components {
public:
    Components(std::size_t n, MemoryBudget& budget)
        : parent_(make_buffer<Vertex>(budget, n)), size_(make_buffer<Vertex>(budget, n, 1)) {
        std::iota(parent_.begin(), parent_.end(), 0);
    }

    bool join(Vertex a, Vertex b) {
        Vertex x = root(a);
        Vertex y = root(b);
        if (x == y) return false;
        if (size_[index(x)] < size_[index(y)]) std::swap(x, y);
        parent_[index(y)] = x;
        size_[index(x)] += size_[index(y)];
        return true;
    }

private:
    static std::size_t index(Vertex v) { return static_cast<std::size_t>(v); }

    Vertex root(Vertex v) {
        while (parent_[index(v)] != v) {
            parent_[index(v)] = parent_[index(parent_[index(v)])];
            v = parent_[index(v)];
        }
        return v;
    }

    Buffer<Vertex> parent_;
    Buffer<Vertex> size_;
};

}  // namespace adabet
