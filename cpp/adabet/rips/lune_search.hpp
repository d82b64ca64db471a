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
        : unvisited(make_buffer<BitGraph::Word>(budget, words)),
          component(make_buffer<BitGraph::Word>(budget, words)),
          growing(make_buffer<BitGraph::Word>(budget, words)),
          frontier(make_buffer<BitGraph::Word>(budget, words)) {}

    Buffer<BitGraph::Word> unvisited;  ///< in no component yet
    Buffer<BitGraph::Word> component;  ///< the first one, as far as it is known
    Buffer<BitGraph::Word> growing;    ///< one that has not met the first
    Buffer<BitGraph::Word> frontier;   ///< its vertices whose neighbours were not looked at
};

/// Components of the graph that a lune induces, by whole rows of bits. The search goes from the vertices that are left to
/// the component that is there, not the other way round: one with a neighbour in it joins, and brings its own neighbours
/// along, so that hardly a row is read in vain.
class LuneSearch {
public:
    using Word = BitGraph::Word;
    static constexpr std::size_t kBlock = BitGraph::kBlockWords;

    ADABET_INLINE LuneSearch(const BitGraph& graph, LuneScratch& scratch)
        : graph_(graph),
          unvisited_(scratch.unvisited.data()),
          component_(scratch.component.data()),
          growing_(scratch.growing.data()),
          frontier_(scratch.frontier.data()) {}

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

        std::size_t end = begin;
        for (std::size_t w = begin; w < words; ++w) {
            const Word lune = row_a[w] & row_b[w];
            component_[w] = lune & row_first[w];
            unvisited_[w] = lune ^ component_[w];
            if (lune != 0) end = w + 1;
        }
        const Word self = Word{1} << (first % 64);
        component_[first / 64] |= self;
        unvisited_[first / 64] ^= self;
        return search(first, begin, end, representatives);
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
    struct Visit {
        bool touches;  ///< the vertex has a neighbour in the first component
        bool is_last;  ///< nothing is unvisited any more
    };

    /// Makes the unvisited neighbours of `v` the growing component.
    ADABET_INLINE Visit start_from(std::size_t v, std::size_t begin, std::size_t end) {
        const Word* const row = graph_.row(v);
        Word touched = 0;
        Word rest = 0;
        for (std::size_t w = begin; w < end; ++w) {
            const Word hit = row[w] & unvisited_[w];
            touched |= row[w] & component_[w];
            growing_[w] = hit;
            unvisited_[w] ^= hit;
            rest |= unvisited_[w];
        }
        return {touched != 0, rest == 0};
    }
    /// Adds the unvisited neighbours of `v` to the growing component; whether `v` has one in the first component.
    ADABET_INLINE bool grow_from(std::size_t v, std::size_t begin, std::size_t end) {
        const Word* const row = graph_.row(v);
        Word touched = 0;
        for (std::size_t w = begin; w < end; ++w) {
            const Word hit = row[w] & unvisited_[w];
            touched |= row[w] & component_[w];
            unvisited_[w] ^= hit;
            growing_[w] |= hit;
            frontier_[w] |= hit;
        }
        return touched != 0;
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

    /// On entry: `first` and its neighbours are the component, the rest of the lune, words [begin, end), is unvisited.
    ADABET_INLINE bool search(std::size_t first, std::size_t begin, std::size_t end, Buffer<Vertex>& representatives) {
        bool more_than_one = false;
        for (;;) {
            const std::size_t start = take_first(unvisited_, begin, end);
            if (start == end * 64) return more_than_one;
            const Visit visit = start_from(start, begin, end);
            if (visit.touches && visit.is_last) return more_than_one;
            growing_[start / 64] |= Word{1} << (start % 64);
            if (visit.touches || reaches_component(begin, end)) {
                for (std::size_t w = begin; w < end; ++w) component_[w] |= growing_[w];
                continue;
            }
            if (!more_than_one) representatives.push_back(graph_.vertex(first));
            more_than_one = true;
            representatives.push_back(graph_.vertex(start));
        }
    }
    /// Grows to the end, or until the first component is met.
    ADABET_INLINE bool reaches_component(std::size_t begin, std::size_t end) {
        for (std::size_t w = begin; w < end; ++w) frontier_[w] = growing_[w];
        for (;;) {
            const std::size_t v = take_first(frontier_, begin, end);
            if (v == end * 64) return false;
            if (grow_from(v, begin, end)) return true;
        }
    }

    const BitGraph& graph_;
    Word* unvisited_;
    Word* component_;
    Word* growing_;
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
