#include "adabet/persistence/columns.hpp"

#include <algorithm>
#include <bit>

namespace adabet {

namespace {

constexpr BirthIndex kNone = -1;

BirthIndex highest_bit(std::size_t word, BitGraph::Word bits) {
    return static_cast<BirthIndex>(word * BitGraph::kWordBits + BitGraph::kWordBits - 1 -
                                   static_cast<std::size_t>(std::countl_zero(bits)));
}

}  // namespace

Columns::Columns(std::size_t n_births, AddWords add_words, MemoryBudget& budget)
    : budget_(budget),
      add_words_(add_words),
      making_(make_buffer<Word>(budget, n_births / BitGraph::kWordBits + 1, 0)),
      refreshing_(make_buffer<Word>(budget, n_births / BitGraph::kWordBits + 1, 0)),
      dead_(make_buffer<Word>(budget, n_births / BitGraph::kWordBits + 1, 0)),
      columns_(n_births, Column(budget), BudgetAllocator<Column>(budget)) {}

void Columns::add(BirthIndex birth) {
    top_ = std::max(top_, word(birth) + 1);
    if (!is_dead(birth)) {
        making_[word(birth)] ^= bit(birth);
        return;
    }
    Column& column = columns_[static_cast<std::size_t>(birth)];
    refresh(column, birth);
    add_column(column, making_);
}

BirthIndex Columns::reduce() {
    while (top_ > 0 && making_[top_ - 1] == 0) --top_;
    if (top_ == 0) return kNone;
    const BirthIndex pivot = highest_bit(top_ - 1, making_[top_ - 1]);
    making_[word(pivot)] ^= bit(pivot);
    dead_[word(pivot)] |= bit(pivot);
    ++deaths_;
    Column& column = columns_[static_cast<std::size_t>(pivot)];
    store(column, making_, pivot);
    top_ = 0;
    return pivot;
}

bool Columns::has_dead_entry(const Column& column) const {
    Word any = 0;
    for (std::size_t w = 0; w < column.words.size(); ++w) any |= column.words[w] & dead_[w];
    for (const BirthIndex birth : column.list) any |= dead_[word(birth)] & bit(birth);
    return any != 0;
}

void Columns::add_column(const Column& column, Buffer<Word>& into) const {
    if (!column.words.empty()) add_words_(into.data(), column.words.data(), column.words.size());
    for (const BirthIndex birth : column.list) into[word(birth)] ^= bit(birth);
}

void Columns::refresh(Column& column, BirthIndex pivot) {
    if (column.fresh_at == deaths_) return;
    column.fresh_at = deaths_;
    if (!has_dead_entry(column)) return;
    add_column(column, refreshing_);
    // A dead entry brings older ones only, so one sweep from the youngest down meets each of them.
    for (std::size_t w = word(pivot) + 1; w-- > 0;) {
        for (Word bits = refreshing_[w] & dead_[w]; bits != 0; bits = refreshing_[w] & dead_[w]) {
            const BirthIndex dead = highest_bit(w, bits);
            refreshing_[w] ^= bit(dead);
            add_column(columns_[static_cast<std::size_t>(dead)], refreshing_);
        }
    }
    store(column, refreshing_, pivot);
}

void Columns::store(Column& column, Buffer<Word>& from, BirthIndex pivot) {
    const std::size_t n_words = word(pivot) + 1;
    std::size_t entries = 0;
    for (std::size_t w = 0; w < n_words; ++w) entries += static_cast<std::size_t>(std::popcount(from[w]));
    column.fresh_at = deaths_;
    if (entries * sizeof(BirthIndex) >= n_words * sizeof(Word)) {
        column.list = make_buffer<BirthIndex>(budget_);
        column.words.assign(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(n_words));
    } else {
        column.words = make_buffer<Word>(budget_);
        column.list.clear();
        if (column.list.capacity() < entries) column.list.reserve(entries);
        for (std::size_t w = 0; w < n_words; ++w)
            for (Word bits = from[w]; bits != 0; bits &= bits - 1)
                column.list.push_back(static_cast<BirthIndex>(w * BitGraph::kWordBits +
                                                              static_cast<std::size_t>(std::countr_zero(bits))));
    }
    std::fill_n(from.begin(), n_words, Word{0});
}

}  // namespace adabet
