#pragma once

#include <cstddef>
#include <cstdint>

#include "adabet/memory_budget.hpp"
#include "adabet/types.hpp"

namespace adabet {

/// Edge -> vertex, by open addressing. Flows meet the same short edges over and over, and to find a vertex of a lune
/// again costs far more than to look it up.
class ApexTable {
public:
    explicit ApexTable(MemoryBudget& budget)
        : budget_(budget), entries_(make_buffer<Entry>(budget, kFirstCapacity, Entry{})) {}

    /// The vertex of an edge, -1 where there is none yet; valid until the next call.
    Vertex& at(const Edge& edge) {
        if (2 * (size_ + 1) > entries_.size()) grow();
        Entry& entry = place(entries_, edge);
        if (entry.edge.a < 0) {
            entry.edge = edge;
            ++size_;
        }
        return entry.vertex;
    }

private:
    struct Entry {
        Edge edge;
        Vertex vertex = -1;
    };
    static constexpr std::size_t kFirstCapacity = 1024;  ///< a power of two, as all later ones

    static Entry& place(Buffer<Entry>& entries, const Edge& edge) {
        const auto key = static_cast<std::uint64_t>(edge.a) << 32 | static_cast<std::uint64_t>(edge.b);
        const std::size_t mask = entries.size() - 1;
        auto i = static_cast<std::size_t>((key * 0x9E3779B97F4A7C15u) >> 32) & mask;
        while (entries[i].edge.a >= 0 && entries[i].edge != edge) i = (i + 1) & mask;
        return entries[i];
    }
    void grow() {
        Buffer<Entry> larger = make_buffer<Entry>(budget_, 2 * entries_.size(), Entry{});
        for (const Entry& entry : entries_)
            if (entry.edge.a >= 0) place(larger, entry.edge) = entry;
        entries_.swap(larger);
    }

    MemoryBudget& budget_;
    Buffer<Entry> entries_;
    std::size_t size_ = 0;
};

}  // namespace adabet
