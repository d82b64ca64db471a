#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>

#include "adabet/isa.hpp"
#include "adabet/memory_budget.hpp"
#include "adabet/rips/bit_graph.hpp"
#include "adabet/rips/critical_edges.hpp"
#include "adabet/rips/length_key.hpp"

namespace adabet {

/// Rows of bits for one component search; as many words as a row of the graph.
struct LuneScratch {
    LuneScratch(std::size_t words, MemoryBudget& budget)
        : unvisited(make_buffer<BitGraph::Word>(budget, words)), frontier(make_buffer<BitGraph::Word>(budget, words)) {}

    Buffer<BitGraph::Word> unvisited;
    Buffer<BitGraph::Word> frontier;
};

/// Breadth-first search in the graph that a lune induces, one frontier vertex at a time, all neighbours of it at once.
class LuneSearch {
public:
    using Word = BitGraph::Word;
    static constexpr std::size_t kBlock = BitGraph::kBlockWords;

    ADABET_INLINE LuneSearch(const BitGraph& graph, LuneScratch& scratch)
        : graph_(graph), unvisited_(scratch.unvisited.data()), frontier_(scratch.frontier.data()) {}

    /// Appends one vertex for each component of the lune of {a, b} if there are two or more; appends nothing otherwise.
    ADABET_INLINE bool components(std::size_t slot_a, std::size_t slot_b, Buffer<Vertex>& representatives) {
        const Word* const row_a = graph_.row(slot_a);
        const Word* const row_b = graph_.row(slot_b);
        const std::size_t words = graph_.words();
        std::size_t begin = 0;
        while (begin < words && !meets(row_a + begin, row_b + begin)) begin += kBlock;
        if (begin == words) return false;

        // Most lunes are dominated by their first vertex: one more pass settles those, and writes nothing.
        const std::size_t first = first_common(row_a, row_b, begin);
        const Word* const row_first = graph_.row(first);
        std::size_t left_over = begin;
        while (left_over < words && !escapes(row_a, row_b, row_first, first, left_over)) left_over += kBlock;
        if (left_over == words) return false;

        for (std::size_t w = begin; w < words; ++w) {
            const Word lune = row_a[w] & row_b[w];
            unvisited_[w] = lune & ~row_first[w];
            frontier_[w] = lune & row_first[w];
        }
        unvisited_[first / 64] &= ~(Word{1} << (first % 64));
        return search(first, begin, left_over, words, representatives);
    }

private:
    ADABET_INLINE static bool meets(const Word* a, const Word* b) {
        Word any = 0;
        for (std::size_t i = 0; i < kBlock; ++i) any |= a[i] & b[i];
        return any != 0;
    }
    ADABET_INLINE static std::size_t first_common(const Word* a, const Word* b, std::size_t w) {
        while ((a[w] & b[w]) == 0) ++w;
        return w * 64 + static_cast<std::size_t>(std::countr_zero(a[w] & b[w]));
    }
    /// Whether the block at `w` of the lune has a vertex other than `v` that is no neighbour of v.
    ADABET_INLINE static bool escapes(const Word* a, const Word* b, const Word* row_v, std::size_t v, std::size_t w) {
        Word any = 0;
        if (v / 64 >= w && v / 64 < w + kBlock) {
            for (std::size_t i = 0; i < kBlock; ++i) {
                const Word self = w + i == v / 64 ? Word{1} << (v % 64) : 0;
                any |= a[w + i] & b[w + i] & ~row_v[w + i] & ~self;
            }
        } else {
            for (std::size_t i = 0; i < kBlock; ++i) any |= a[w + i] & b[w + i] & ~row_v[w + i];
        }
        return any != 0;
    }
    /// Moves the unvisited neighbours of `v` to the frontier; returns whether any vertex stays unvisited.
    ADABET_INLINE bool visit(std::size_t v, std::size_t begin, std::size_t end) {
        const Word* const row = graph_.row(v);
        Word rest = 0;
        for (std::size_t w = begin; w < end; ++w) {
            const Word hit = row[w] & unvisited_[w];
            frontier_[w] |= hit;
            unvisited_[w] ^= hit;
            rest |= unvisited_[w];
        }
        return rest != 0;
    }
    /// Takes the lowest vertex out of a set; `words` if there is none.
    ADABET_INLINE static std::size_t take_first(Word* set, std::size_t begin, std::size_t end) {
        for (std::size_t w = begin; w < end; ++w) {
            if (set[w] == 0) continue;
            const auto bit = static_cast<std::size_t>(std::countr_zero(set[w]));
            set[w] &= set[w] - 1;
            return w * 64 + bit;
        }
        return end * 64;
    }

    /// On entry: `first`'s neighbours are on the frontier, the rest of the lune (not empty) is unvisited from `from` on.
    ADABET_INLINE bool search(std::size_t first, std::size_t begin, std::size_t from, std::size_t words,
                              Buffer<Vertex>& representatives) {
        const std::size_t before = representatives.size();
        std::size_t end = words;
        while (unvisited_[end - 1] == 0) --end;
        const std::size_t frontier_end = words;
        bool more_than_one = false;
        for (;;) {
            const std::size_t v = take_first(frontier_, begin, frontier_end);
            if (v != frontier_end * 64) {
                if (!visit(v, from, end)) return more_than_one;
                continue;
            }
            if (!more_than_one) representatives.push_back(graph_.vertex(first));
            more_than_one = true;
            const std::size_t next = take_first(unvisited_, from, end);
            representatives.push_back(graph_.vertex(next));
            if (!visit(next, from, end)) return representatives.size() - before > 1;
        }
    }

    const BitGraph& graph_;
    Word* unvisited_;
    Word* frontier_;
};

/// Adds edges, in order, to the graph; records those whose lune, just before, has two components or more.
template <class Real>
ADABET_INLINE void classify_edges(BitGraph& graph, LuneScratch& scratch, const RankedEdge<Real>* edges,
                                  std::size_t count, CriticalEdges& critical) {
    LuneSearch search(graph, scratch);
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t a = graph.slot(edges[i].a);
        const std::size_t b = graph.slot(edges[i].b);
        const std::size_t first = critical.vertices.size();
        if (search.components(a, b, critical.vertices)) critical.items.push_back({i, first});
        graph.connect(a, b);
    }
}

}  // namespace adabet
