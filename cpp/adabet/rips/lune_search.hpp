#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>

#include "adabet/isa.hpp"
#include "adabet/memory_budget.hpp"
#include "adabet/rips/bit_graph.hpp"
#include "adabet/rips/critical_edges.hpp"
#include "adabet/rips/length_key.hpp"
#include "adabet/rips/word_block.hpp"

namespace adabet {

/// Sets of vertices for one component search, of the blocks that the lune meets alone.
struct LuneScratch {
    LuneScratch(const BitGraph& graph, MemoryBudget& budget)
        : blocks(make_buffer<std::size_t>(budget, graph.blocks())),
          unvisited(make_buffer<BitGraph::Word>(budget, graph.words())),
          component(make_buffer<BitGraph::Word>(budget, graph.words())),
          growing(make_buffer<BitGraph::Word>(budget, graph.words())),
          frontier(make_buffer<BitGraph::Word>(budget, graph.words())) {}

    [[nodiscard]] static std::size_t bytes(std::size_t n) {
        return BitGraph::row_words(n) * 4 * sizeof(BitGraph::Word) +
               BitGraph::row_words(n) / BitGraph::kBlockWords * sizeof(std::size_t);
    }

    Buffer<std::size_t> blocks;        ///< where each block of the sets lies in a row
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
          blocks_(scratch.blocks.data()),
          unvisited_(scratch.unvisited.data()),
          component_(scratch.component.data()),
          growing_(scratch.growing.data()),
          frontier_(scratch.frontier.data()) {}

    /// Appends one vertex for each component of the lune of {a, b} if there are two or more; appends nothing otherwise.
    ADABET_INLINE bool components(std::size_t slot_a, std::size_t slot_b, Buffer<Vertex>& representatives) {
        const Word* const row_a = graph_.row(slot_a);
        const Word* const row_b = graph_.row(slot_b);
        CommonBlocks common(graph_, slot_a, slot_b);
        while (!common.done() && !meets(row_a + common.word(), row_b + common.word())) common.next();
        if (common.done()) return false;

        // Most lunes are dominated by their first vertex: one more pass settles those, and writes nothing.
        const CommonBlocks begin = common;
        const std::size_t first = first_common(row_a, row_b, begin.word());
        const Word* const row_first = graph_.row(first);
        if (dominates(row_a, row_b, row_first, first, common)) return false;

        std::size_t count = 0;
        for (common = begin; !common.done(); common.next()) {
            const std::size_t from = common.word();
            const std::size_t to = count * kBlock;
            const WordBlock lune = block_at(row_a + from) & block_at(row_b + from);
            const WordBlock joined = lune & block_at(row_first + from);
            block_at(component_ + to) = joined;
            block_at(unvisited_ + to) = lune ^ joined;
            blocks_[count] = from / kBlock;
            count += any_bit(lune) ? 1 : 0;
        }
        const Word self = Word{1} << (first % 64);
        component_[first / 64 % kBlock] |= self;
        unvisited_[first / 64 % kBlock] ^= self;
        words_ = count * kBlock;
        return search(first, representatives);
    }

private:
    /// Walks the blocks where both rows have neighbours.
    class CommonBlocks {
    public:
        ADABET_INLINE CommonBlocks(const BitGraph& graph, std::size_t slot_a, std::size_t slot_b)
            : a_(graph.summary(slot_a)), b_(graph.summary(slot_b)), count_(graph.summary_words()) {
            both_ = a_[0] & b_[0];
            skip_empty();
        }
        [[nodiscard]] ADABET_INLINE bool done() const { return both_ == 0; }
        [[nodiscard]] ADABET_INLINE std::size_t word() const {
            return (at_ * 64 + static_cast<std::size_t>(std::countr_zero(both_))) * kBlock;
        }
        ADABET_INLINE void next() {
            both_ &= both_ - 1;
            skip_empty();
        }

    private:
        ADABET_INLINE void skip_empty() {
            while (both_ == 0 && at_ + 1 < count_) {
                ++at_;
                both_ = a_[at_] & b_[at_];
            }
        }

        const Word* a_;
        const Word* b_;
        std::size_t count_;
        std::size_t at_ = 0;
        Word both_;
    };
    ADABET_INLINE static bool meets(const Word* a, const Word* b) { return any_bit(block_at(a) & block_at(b)); }
    ADABET_INLINE static std::size_t first_common(const Word* a, const Word* b, std::size_t w) {
        while ((a[w] & b[w]) == 0) ++w;
        return w * 64 + static_cast<std::size_t>(std::countr_zero(a[w] & b[w]));
    }
    /// Whether all vertices of the lune but `v` are neighbours of v, from the block at hand on.
    ADABET_INLINE static bool dominates(const Word* a, const Word* b, const Word* row_v, std::size_t v,
                                        CommonBlocks common) {
        constexpr int kBlocksPerLook = 4;
        // Its own block comes first.
        std::size_t w = common.word();
        WordBlock missed = block_at(a + w) & block_at(b + w) & ~block_at(row_v + w);
        missed[v / 64 % kBlock] &= ~(Word{1} << (v % 64));
        while (!any_bit(missed)) {
            for (int k = 0; k < kBlocksPerLook; ++k) {
                common.next();
                if (common.done()) return !any_bit(missed);
                w = common.word();
                missed |= block_at(a + w) & block_at(b + w) & ~block_at(row_v + w);
            }
        }
        return false;
    }
    /// The slot at a bit of the sets.
    ADABET_INLINE std::size_t slot_at(std::size_t bit) const {
        constexpr std::size_t block_bits = kBlock * 64;
        return blocks_[bit / block_bits] * block_bits + bit % block_bits;
    }
    struct Visit {
        bool touches;  ///< the vertex has a neighbour in the first component
        bool is_last;  ///< nothing is unvisited any more
    };

    /// Makes the unvisited neighbours of the vertex at `bit` the growing component.
    ADABET_INLINE Visit start_from(std::size_t bit) {
        const Word* const row = graph_.row(slot_at(bit));
        WordBlock touched = {};
        WordBlock rest = {};
        for (std::size_t w = 0; w < words_; w += kBlock) {
            const WordBlock neighbours = block_at(row + blocks_[w / kBlock] * kBlock);
            const WordBlock hit = neighbours & block_at(unvisited_ + w);
            touched |= neighbours & block_at(component_ + w);
            block_at(growing_ + w) = hit;
            block_at(unvisited_ + w) ^= hit;
            rest |= block_at(unvisited_ + w);
        }
        return {any_bit(touched), !any_bit(rest)};
    }
    /// Adds its unvisited neighbours to the growing component; whether the vertex has one in the first component.
    ADABET_INLINE bool grow_from(std::size_t bit) {
        const Word* const row = graph_.row(slot_at(bit));
        WordBlock touched = {};
        for (std::size_t w = 0; w < words_; w += kBlock) {
            const WordBlock neighbours = block_at(row + blocks_[w / kBlock] * kBlock);
            const WordBlock hit = neighbours & block_at(unvisited_ + w);
            touched |= neighbours & block_at(component_ + w);
            block_at(unvisited_ + w) ^= hit;
            block_at(growing_ + w) |= hit;
            block_at(frontier_ + w) |= hit;
        }
        return any_bit(touched);
    }
    /// Takes the lowest vertex out of a set; past the end if there is none.
    ADABET_INLINE std::size_t take_first(Word* set) const {
        for (std::size_t w = 0; w < words_; ++w) {
            if (set[w] == 0) continue;
            const auto bit = static_cast<std::size_t>(std::countr_zero(set[w]));
            set[w] &= set[w] - 1;
            return w * 64 + bit;
        }
        return words_ * 64;
    }

    /// On entry: `first` and its neighbours are the component, the rest of the lune is unvisited.
    ADABET_INLINE bool search(std::size_t first, Buffer<Vertex>& representatives) {
        bool more_than_one = false;
        for (;;) {
            const std::size_t start = take_first(unvisited_);
            if (start == words_ * 64) return more_than_one;
            const Visit visit = start_from(start);
            if (visit.touches && visit.is_last) return more_than_one;
            growing_[start / 64] |= Word{1} << (start % 64);
            if (visit.touches || reaches_component()) {
                for (std::size_t w = 0; w < words_; ++w) component_[w] |= growing_[w];
                continue;
            }
            if (!more_than_one) representatives.push_back(graph_.vertex(first));
            more_than_one = true;
            representatives.push_back(graph_.vertex(slot_at(start)));
        }
    }
    /// Grows to the end, or until the first component is met.
    ADABET_INLINE bool reaches_component() {
        std::copy_n(growing_, words_, frontier_);
        for (;;) {
            const std::size_t bit = take_first(frontier_);
            if (bit == words_ * 64) return false;
            if (grow_from(bit)) return true;
        }
    }

    const BitGraph& graph_;
    std::size_t* blocks_;
    Word* unvisited_;
    Word* component_;
    Word* growing_;
    Word* frontier_;
    std::size_t words_ = 0;  ///< of the sets
};

/// Adds edges, in order, to the graph; records those whose lune, just before, has two components or more.
template <class Real>
ADABET_INLINE void classify_edges(BitGraph& graph, LuneScratch& scratch, const RankedEdge<Real>* edges,
                                  std::size_t count, CriticalEdges& critical) {
    constexpr std::size_t kAhead = 6;
    const std::size_t ahead = graph.is_large() ? kAhead : count;
    LuneSearch search(graph, scratch);
    for (std::size_t i = 0; i < count; ++i) {
        if (i + ahead < count) graph.prefetch_common(graph.slot(edges[i + ahead].a), graph.slot(edges[i + ahead].b));
        const std::size_t a = graph.slot(edges[i].a);
        const std::size_t b = graph.slot(edges[i].b);
        const std::size_t first = critical.vertices.size();
        if (search.components(a, b, critical.vertices)) critical.items.push_back({i, first});
        graph.connect(a, b);
    }
}

}  // namespace adabet
