#include "adabet/persistence/columns.hpp"

#include <bit>
#include <span>

namespace adabet {

namespace {

constexpr BirthIndex kNone = -1;

BirthIndex highest_bit(std::size_t word, SparseBits::Word bits) {
    return static_cast<BirthIndex>(word * SparseBits::kWordBits + SparseBits::kWordBits - 1 -
                                   static_cast<std::size_t>(std::countl_zero(bits)));
}

}  // namespace

Columns::Columns(std::size_t n_births, AddWords add_words, MemoryBudget& budget, ColumnRule rule)
    : add_words_(add_words),
      rule_(rule),
      making_(n_births, budget),
      refreshing_(n_births, budget),
      dead_(make_buffer<Word>(budget, n_births / SparseBits::kWordBits + 1, 0)),
      pool_(budget),
      columns_(make_buffer<Column>(budget, n_births, Column{})) {}

Columns::~Columns() {
    for (Column& column : columns_)
        if (column.n_bytes > 0) pool_.give(column.data, column.n_bytes);
}

/// Calls list(births) or bits(words).
template <class List, class Bits>
void Columns::read(const Column& column, const List& list, const Bits& bits) {
    if ((column.fresh_at & kBits) != 0)
        bits(std::span(static_cast<const Word*>(column.data), column.n_bytes / sizeof(Word)));
    else
        list(std::span(static_cast<const BirthIndex*>(column.data), column.n_bytes / sizeof(BirthIndex)));
}

void Columns::add(BirthIndex birth) {
    if (!is_dead(birth)) {
        making_.flip(static_cast<std::size_t>(birth));
        return;
    }
    Column& column = columns_[static_cast<std::size_t>(birth)];
    refresh(column);
    add_column(column, making_);
}

BirthIndex Columns::reduce() {
    const std::size_t top = making_.highest_word();
    if (top == SparseBits::none()) return kNone;
    const BirthIndex pivot = highest_bit(top, making_.word(top));
    making_.flip(static_cast<std::size_t>(pivot));
    dead_[word(pivot)] |= bit(pivot);
    ++deaths_;
    store(columns_[static_cast<std::size_t>(pivot)], making_);
    return pivot;
}

bool Columns::has_dead_entry(const Column& column) const {
    Word any = 0;
    read(
        column,
        [&](auto list) {
            for (const BirthIndex birth : list) any |= dead_[word(birth)] & bit(birth);
        },
        [&](auto words) {
            for (std::size_t w = 0; w < words.size(); ++w) any |= words[w] & dead_[w];
        });
    return any != 0;
}

void Columns::add_column(const Column& column, SparseBits& into) const {
    read(
        column,
        [&](auto list) {
            for (const BirthIndex birth : list) into.flip(static_cast<std::size_t>(birth));
        },
        [&](auto words) { into.add(add_words_, words.data(), words.size()); });
}

void Columns::refresh(Column& column) {
    if ((column.fresh_at & ~kBits) == deaths_) return;
    if (!has_dead_entry(column)) {
        column.fresh_at = (column.fresh_at & kBits) | static_cast<std::uint32_t>(deaths_);
        return;
    }
    add_column(column, refreshing_);
    // A dead entry brings older ones only, so one sweep from the youngest down meets each of them.
    refreshing_.for_each_word_falling([this](std::size_t w) {
        for (Word bits = refreshing_.word(w) & dead_[w]; bits != 0; bits = refreshing_.word(w) & dead_[w]) {
            const auto dead = static_cast<std::size_t>(highest_bit(w, bits));
            refreshing_.flip(dead);
            add_column(columns_[dead], refreshing_);
        }
    });
    store(column, refreshing_);
}

void Columns::make_room(Column& column, std::size_t n_bytes) {
    if (ColumnPool::room(column.n_bytes) != ColumnPool::room(n_bytes)) {
        if (column.n_bytes > 0) pool_.give(column.data, column.n_bytes);
        column.n_bytes = 0;
        if (n_bytes > 0) column.data = pool_.take(n_bytes);
    }
    column.n_bytes = static_cast<std::uint32_t>(n_bytes);
}

void Columns::store(Column& column, SparseBits& from) {
    std::size_t entries = 0;
    std::size_t n_words = 0;
    from.for_each_word([&](std::size_t w, Word bits) {
        entries += static_cast<std::size_t>(std::popcount(bits));
        if (bits != 0) n_words = w + 1;
    });
    const bool as_bits =
        entries > 0 && static_cast<double>(entries) * rule_.words_per_entry >= static_cast<double>(n_words);
    make_room(column, as_bits ? n_words * sizeof(Word) : entries * sizeof(BirthIndex));
    column.fresh_at = static_cast<std::uint32_t>(deaths_) | (as_bits ? kBits : 0);
    if (as_bits) {
        auto* const words = static_cast<Word*>(column.data);
        for (std::size_t w = 0; w < n_words; ++w) words[w] = from.word(w);
    } else {
        auto* next = static_cast<BirthIndex*>(column.data);
        from.for_each_word([&](std::size_t w, Word bits) {
            for (; bits != 0; bits &= bits - 1)
                *next++ = static_cast<BirthIndex>(w * SparseBits::kWordBits +
                                                  static_cast<std::size_t>(std::countr_zero(bits)));
        });
    }
    from.clear();
}

}  // namespace adabet
