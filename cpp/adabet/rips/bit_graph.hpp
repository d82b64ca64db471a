#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "adabet/memory_budget.hpp"
#include "adabet/types.hpp"

namespace adabet {

/// The graph of the edges so far, one row of bits for each vertex. A vertex's row and column is its slot; the lune search
/// tries low slots first, so whoever numbers them puts points there that are near to many.
class BitGraph {
public:
    using Word = std::uint64_t;
    static constexpr std::size_t kWordBits = 64;
    static constexpr std::size_t kBlockWords = 8;  ///< rows are padded to whole blocks: one 512-bit vector each

    /// `order[s]` is the vertex in slot s.
    BitGraph(std::span<const Vertex> order, MemoryBudget& budget)
        : words_(row_words(order.size())),
          slot_of_(make_buffer<Vertex>(budget, order.size())),
          vertex_at_(make_buffer<Vertex>(budget, order.size())),
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
        return n * row_words(n) * sizeof(Word) + 2 * n * sizeof(Vertex);
    }

    [[nodiscard]] std::size_t words() const { return words_; }
    [[nodiscard]] const Word* row(std::size_t slot) const { return rows_.data() + slot * words_; }
    [[nodiscard]] std::size_t slot(Vertex v) const {
        return static_cast<std::size_t>(slot_of_[static_cast<std::size_t>(v)]);
    }
    [[nodiscard]] Vertex vertex(std::size_t slot) const { return vertex_at_[slot]; }

    void connect(std::size_t slot_a, std::size_t slot_b) {
        rows_[slot_a * words_ + slot_b / kWordBits] |= Word{1} << (slot_b % kWordBits);
        rows_[slot_b * words_ + slot_a / kWordBits] |= Word{1} << (slot_a % kWordBits);
    }

private:
    std::size_t words_;
    Buffer<Vertex> slot_of_;
    Buffer<Vertex> vertex_at_;
    Buffer<Word> rows_;
};

}  // namespace adabet
