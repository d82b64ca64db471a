#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "adabet/isa.hpp"
#include "adabet/memory_budget.hpp"
#include "adabet/types.hpp"

namespace adabet {

/// The graph of the edges so far, one row of bits for each vertex. A vertex's row and column is its slot; the lune search
/// tries low slots first, so whoever numbers them puts points there that are near to many. A row's blocks that hold any
/// neighbour are summed up in a few more bits: where near points have near slots, most blocks of most rows are empty.
class BitGraph {
public:
    using Word = std::uint64_t;
    static constexpr std::size_t kWordBits = 64;
    static constexpr std::size_t kBlockWords = 8;  ///< rows are padded to whole blocks: one 512-bit vector each

    /// `order[s]` is the vertex in slot s.
    BitGraph(std::span<const Vertex> order, MemoryBudget& budget)
        : words_(row_words(order.size())),
          summary_words_(summary_words(order.size())),
          slot_of_(make_buffer<Vertex>(budget, order.size())),
          vertex_at_(make_buffer<Vertex>(budget, order.size())),
          summaries_(make_buffer<Word>(budget, order.size() * summary_words_, 0)),
          rows_(make_buffer<Word>(budget, order.size() * words_, 0)) {
        for (std::size_t s = 0; s < order.size(); ++s) {
            vertex_at_[s] = order[s];
            slot_of_[static_cast<std::size_t>(order[s])] = static_cast<Vertex>(s);
        }
    }

    [[nodiscard]] static std::size_t row_words(std::size_t n) {
        constexpr std::size_t block_bits = kWordBits * kBlockWords;
        return (n + block_bits - 1) / block_bits * kBlockWords;
    }
    [[nodiscard]] static std::size_t bytes(std::size_t n) {
        return n * (row_words(n) + summary_words(n)) * sizeof(Word) + 2 * n * sizeof(Vertex);
    }

    [[nodiscard]] std::size_t words() const { return words_; }
    [[nodiscard]] std::size_t blocks() const { return words_ / kBlockWords; }
    [[nodiscard]] std::size_t summary_words() const { return summary_words_; }
    /// One bit for each block of the row that is not empty.
    [[nodiscard]] const Word* summary(std::size_t slot) const { return summaries_.data() + slot * summary_words_; }
    [[nodiscard]] const Word* row(std::size_t slot) const { return rows_.data() + slot * words_; }
    [[nodiscard]] std::size_t slot(Vertex v) const {
        return static_cast<std::size_t>(slot_of_[static_cast<std::size_t>(v)]);
    }
    [[nodiscard]] Vertex vertex(std::size_t slot) const { return vertex_at_[slot]; }

    void connect(std::size_t slot_a, std::size_t slot_b) {
        set(slot_a, slot_b);
        set(slot_b, slot_a);
    }

    /// Asks for the words that connecting these slots will change.
    ADABET_INLINE void prefetch(std::size_t slot_a, std::size_t slot_b) const {
        __builtin_prefetch(rows_.data() + slot_a * words_ + slot_b / kWordBits, 1);
        __builtin_prefetch(rows_.data() + slot_b * words_ + slot_a / kWordBits, 1);
    }

    /// Whether its rows are more than a core's own cache holds.
    [[nodiscard]] bool is_large() const {
        constexpr std::size_t kCachedBytes = std::size_t{1} << 19;
        return rows_.size() * sizeof(Word) >= kCachedBytes;
    }
    /// Asks for the first blocks where both rows have neighbours: what a look at their lune begins with.
    ADABET_INLINE void prefetch_common(std::size_t slot_a, std::size_t slot_b) const {
        constexpr int kMostBlocks = 4;
        Word both = summary(slot_a)[0] & summary(slot_b)[0];
        for (int k = 0; k < kMostBlocks && both != 0; ++k, both &= both - 1) {
            const std::size_t word = static_cast<std::size_t>(std::countr_zero(both)) * kBlockWords;
            __builtin_prefetch(row(slot_a) + word);
            __builtin_prefetch(row(slot_b) + word);
        }
    }

private:
    [[nodiscard]] static std::size_t summary_words(std::size_t n) {
        return (row_words(n) / kBlockWords + kWordBits - 1) / kWordBits;
    }
    void set(std::size_t row, std::size_t column) {
        rows_[row * words_ + column / kWordBits] |= Word{1} << (column % kWordBits);
        const std::size_t block = column / (kWordBits * kBlockWords);
        Word& summary = summaries_[row * summary_words_ + block / kWordBits];
        const Word bit = Word{1} << (block % kWordBits);
        if ((summary & bit) == 0) summary |= bit;  // mostly set already, and a word that is only read is cheaper
    }

    std::size_t words_;
    std::size_t summary_words_;
    Buffer<Vertex> slot_of_;
    Buffer<Vertex> vertex_at_;
    Buffer<Word> summaries_;
    Buffer<Word> rows_;
};

}  // namespace adabet
