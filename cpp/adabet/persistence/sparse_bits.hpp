#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "adabet/memory_budget.hpp"

namespace adabet {

/// A long row of bits with few of them set: a second row says which words may be non-zero, so that looking for bits costs
/// next to nothing where there are none.
class SparseBits {
public:
    using Word = std::uint64_t;
    using AddWords = void (*)(Word* into, const Word* words, std::size_t count);
    static constexpr std::size_t kWordBits = 64;

    SparseBits(std::size_t n_bits, MemoryBudget& budget)
        : words_(make_buffer<Word>(budget, n_bits / kWordBits + 1, 0)),
          summary_(make_buffer<Word>(budget, words_.size() / kWordBits + 1, 0)) {}

    [[nodiscard]] Word word(std::size_t w) const { return words_[w]; }

    void flip(std::size_t i) {
        const std::size_t w = i / kWordBits;
        words_[w] ^= Word{1} << (i % kWordBits);
        summary_[w / kWordBits] |= Word{1} << (w % kWordBits);
        top_ = std::max(top_, w / kWordBits + 1);
    }
    /// Adds the first words of another row, mod 2.
    void add(AddWords add_words, const Word* words, std::size_t count) {
        add_words(words_.data(), words, count);
        const std::size_t whole = count / kWordBits;
        std::fill_n(summary_.begin(), whole, ~Word{0});
        if (count % kWordBits != 0) summary_[whole] |= (Word{1} << (count % kWordBits)) - 1;
        top_ = std::max(top_, whole + 1);
    }

    /// The number of the highest word that is not zero, or none() where all are.
    [[nodiscard]] std::size_t highest_word() {
        for (; top_ > 0; --top_) {
            for (Word& candidates = summary_[top_ - 1]; candidates != 0;) {
                const std::size_t bit = kWordBits - 1 - static_cast<std::size_t>(std::countl_zero(candidates));
                const std::size_t w = (top_ - 1) * kWordBits + bit;
                if (words_[w] != 0) return w;
                candidates ^= Word{1} << bit;
            }
        }
        return none();
    }
    [[nodiscard]] static constexpr std::size_t none() { return static_cast<std::size_t>(-1); }

    /// Calls body(w, word) for each word that may not be zero, rising.
    template <class Body>
    void for_each_word(const Body& body) const {
        for (std::size_t s = 0; s < top_; ++s)
            for (Word left = summary_[s]; left != 0; left &= left - 1) {
                const std::size_t w = s * kWordBits + static_cast<std::size_t>(std::countr_zero(left));
                body(w, words_[w]);
            }
    }
    /// Calls body(w) for each word that may not be zero, falling; `body` may flip bits of that word and of lower ones,
    /// which are then met as well.
    template <class Body>
    void for_each_word_falling(const Body& body) const {
        for (std::size_t s = top_; s-- > 0;) {
            Word below = ~Word{0};
            for (Word left = summary_[s]; left != 0; left = summary_[s] & below) {
                const std::size_t bit = kWordBits - 1 - static_cast<std::size_t>(std::countl_zero(left));
                body(s * kWordBits + bit);
                below = (Word{1} << bit) - 1;
            }
        }
    }
    void clear() {
        for (std::size_t s = 0; s < top_; ++s) {
            for (Word left = summary_[s]; left != 0; left &= left - 1)
                words_[s * kWordBits + static_cast<std::size_t>(std::countr_zero(left))] = 0;
            summary_[s] = 0;
        }
        top_ = 0;
    }

private:
    Buffer<Word> words_;
    Buffer<Word> summary_;
    std::size_t top_ = 0;  ///< words of summary_ from here on are zero
};

}  // namespace adabet
