#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "adabet/memory_budget.hpp"
#include "adabet/persistence/births.hpp"
#include "adabet/rips/bit_graph.hpp"

namespace adabet {

/// Reduction mod 2 of columns over the births, pivot = the youngest birth. Stored columns are kept reduced against one
/// another when they are used: a new column then needs one addition for each dead birth of its few entries, and what it
/// adds are living births only. Each is held as bits or as a list, whichever is smaller.
class Columns {
public:
    using Word = BitGraph::Word;
    using AddWords = void (*)(Word* into, const Word* words, std::size_t count);

    Columns(std::size_t n_births, AddWords add_words, MemoryBudget& budget);

    /// Adds a birth to the column in the making.
    void add(BirthIndex birth);

    /// Ends the column: the birth that dies, now stored with it; or -1 where nothing is left.
    BirthIndex reduce();

    [[nodiscard]] bool is_dead(BirthIndex birth) const { return (dead_[word(birth)] & bit(birth)) != 0; }
    [[nodiscard]] std::size_t deaths() const { return deaths_; }
    [[nodiscard]] std::size_t size() const { return columns_.size(); }

private:
    /// The older births that a dead one equals, all of them living when it was stored.
    struct Column {
        explicit Column(MemoryBudget& budget)
            : words(make_buffer<Word>(budget)), list(make_buffer<BirthIndex>(budget)) {}

        Buffer<Word> words;        ///< either bits up to the pivot ...
        Buffer<BirthIndex> list;   ///< ... or indices
        std::size_t fresh_at = 0;  ///< the number of deaths up to which no entry is dead
    };

    static std::size_t word(BirthIndex birth) { return static_cast<std::size_t>(birth) / BitGraph::kWordBits; }
    static Word bit(BirthIndex birth) { return Word{1} << (static_cast<std::size_t>(birth) % BitGraph::kWordBits); }

    void refresh(Column& column, BirthIndex pivot);
    [[nodiscard]] bool has_dead_entry(const Column& column) const;
    void add_column(const Column& column, Buffer<Word>& into) const;
    /// Moves bits [0, pivot) out of `from`, which is left clear.
    void store(Column& column, Buffer<Word>& from, BirthIndex pivot);

    MemoryBudget& budget_;
    AddWords add_words_;
    Buffer<Word> making_;
    Buffer<Word> refreshing_;
    Buffer<Word> dead_;
    std::size_t top_ = 0;  ///< words of making_ from here on are zero
    std::size_t deaths_ = 0;
    Buffer<Column> columns_;
};

}  // namespace adabet
