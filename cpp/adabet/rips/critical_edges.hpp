#pragma once

#include <cstddef>
#include <span>

#include "adabet/memory_budget.hpp"
#include "adabet/types.hpp"

namespace adabet {

/// The edges of a chunk whose lune has two components or more: the only ones that can kill an H1 class.
struct CriticalEdges {
    struct Item {
        std::size_t edge;   ///< its index in the chunk
        std::size_t first;  ///< one vertex for each component: vertices[first] up to the next item's first
    };

    explicit CriticalEdges(MemoryBudget& budget)
        : items(make_buffer<Item>(budget)), vertices(make_buffer<Vertex>(budget)) {}

    void clear() {
        items.clear();
        vertices.clear();
    }
    /// One vertex for each component of the item's lune.
    [[nodiscard]] std::span<const Vertex> representatives(std::size_t item) const {
        const std::size_t end = item + 1 < items.size() ? items[item + 1].first : vertices.size();
        return {vertices.data() + items[item].first, end - items[item].first};
    }

    Buffer<Item> items;
    Buffer<Vertex> vertices;
};

}  // namespace adabet
