#pragma once

#include <cstddef>
#include <cstdint>

#include "adabet/memory_budget.hpp"
#include "adabet/persistence/births.hpp"
#include "adabet/persistence/column_pool.hpp"
#include "adabet/persistence/sparse_bits.hpp"

namespace adabet {

/// How a column is held: as bits where its entries, each worth so many words, are no less than the words up to its pivot;
/// else as a list. bench/reduction.py measures what they are worth: half a word would take fewest bytes.
struct ColumnRule {
    double words_per_entry = 1;
};

/// Reduction mod 2 of columns over the births, pivot = the youngest birth. Stored columns are kept reduced against one
/// another when they are used: a new column then needs one addition for each dead birth of its few entries, and what it
/// adds are living births only. Each is held as bits or as a list, by the rule.
class Columns {
public:
    using Word = SparseBits::Word;
    using AddWords = SparseBits::AddWords;

    Columns(std::size_t n_births, AddWords add_words, MemoryBudget& budget, ColumnRule rule = {});
    Columns(const Columns&) = delete;
    Columns& operator=(const Columns&) = delete;
    ~Columns();

    /// Adds a birth to the column in the making.
    void add(BirthIndex birth);

    /// Ends the column: the birth that dies, now stored with it; or -1 where nothing is left.
    BirthIndex reduce();

    [[nodiscard]] bool is_dead(BirthIndex birth) const { return (dead_[word(birth)] & bit(birth)) != 0; }
    [[nodiscard]] std::size_t deaths() const { return deaths_; }
    [[nodiscard]] std::size_t size() const { return columns_.size(); }

    /// What it takes before any column is stored.
    [[nodiscard]] static std::size_t bytes(std::size_t n_births) {
        return n_births * sizeof(Column) + 3 * (n_births / SparseBits::kWordBits) * sizeof(Word);
    }

private:
    /// The older births that a dead one equals, all of them living when it was stored.
    struct Column {
        void* data = nullptr;        ///< either bits up to the pivot, as Words, or BirthIndex numbers
        std::uint32_t n_bytes = 0;   ///< of the numbers; of bits as many as reach up to the pivot
        std::uint32_t fresh_at = 0;  ///< the number of deaths up to which no entry is dead; the highest bit: bits
    };
    static constexpr std::uint32_t kBits = std::uint32_t{1} << 31;

    static std::size_t word(BirthIndex birth) { return static_cast<std::size_t>(birth) / SparseBits::kWordBits; }
    static Word bit(BirthIndex birth) { return Word{1} << (static_cast<std::size_t>(birth) % SparseBits::kWordBits); }

    template <class List, class Bits>
    static void read(const Column& column, const List& list, const Bits& bits);
    void refresh(Column& column);
    [[nodiscard]] bool has_dead_entry(const Column& column) const;
    void add_column(const Column& column, SparseBits& into) const;
    /// Moves what is in `from`, all older than the pivot, into a column.
    void store(Column& column, SparseBits& from);
    void make_room(Column& column, std::size_t n_bytes);

    AddWords add_words_;
    ColumnRule rule_;
    SparseBits making_;
    SparseBits refreshing_;
    Buffer<Word> dead_;
    std::size_t deaths_ = 0;
    ColumnPool pool_;
    Buffer<Column> columns_;
};

}  // namespace adabet
