// Columns with lazily reduced storage against the plain left-to-right reduction: the same pivots, in the same order,
// whatever is held as bits; and the same pairs from the transposed matrix.

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include "adabet/persistence/columns.hpp"
#include "adabet/rips/kernels.hpp"
#include "check.hpp"
#include "clouds.hpp"

namespace {

using adabet::BirthIndex;

/// Columns as sorted lists.
class Plain {
public:
    BirthIndex reduce(std::vector<BirthIndex> column) {
        std::vector<BirthIndex> sum;
        while (!column.empty()) {
            const BirthIndex pivot = column.back();
            const auto stored = columns_.find(pivot);
            if (stored == columns_.end()) {
                columns_[pivot] = column;
                return pivot;
            }
            sum.clear();
            std::ranges::set_symmetric_difference(column, stored->second, std::back_inserter(sum));
            column.swap(sum);
        }
        return -1;
    }

private:
    std::map<BirthIndex, std::vector<BirthIndex>> columns_;
};

constexpr double kBitsOnly = std::numeric_limits<double>::infinity();

void compare(std::size_t births, std::size_t n_columns, std::size_t entries, std::uint64_t seed,
             adabet::ColumnRule rule = {}) {
    clouds::Random random(seed);
    adabet::MemoryBudget budget;
    {
        adabet::Columns columns(births, adabet::rips_kernels<float>().add_words, budget, rule);
        Plain plain;
        std::size_t deaths = 0;
        for (std::size_t c = 0; c < n_columns; ++c) {
            std::set<BirthIndex> entry_set;
            const std::size_t count = 1 + random.below(entries);
            for (std::size_t e = 0; e < count; ++e) {
                const auto birth = static_cast<BirthIndex>(random.below(births));
                columns.add(birth);
                if (!entry_set.erase(birth)) entry_set.insert(birth);
            }
            const BirthIndex expected = plain.reduce({entry_set.begin(), entry_set.end()});
            CHECK_EQ(columns.reduce(), expected);
            if (expected >= 0) {
                ++deaths;
                CHECK(columns.is_dead(expected));
            }
            CHECK_EQ(columns.deaths(), deaths);
        }
    }
    CHECK_EQ(budget.used(), std::size_t{0});
}

/// One column a birth, the youngest first, pivot = the earliest cell: what bench/reduction.cpp takes time of.
void transpose(std::size_t births, std::size_t n_cells, std::size_t entries, std::uint64_t seed) {
    clouds::Random random(seed);
    std::vector<std::vector<bool>> has(n_cells, std::vector<bool>(births));
    for (auto& cell : has)
        for (std::size_t e = 1 + random.below(entries); e > 0; --e) cell[random.below(births)].flip();
    adabet::MemoryBudget budget;
    std::vector<BirthIndex> killer(births, -1);
    std::vector<BirthIndex> transposed(births, -1);
    adabet::Columns by_cells(births, adabet::rips_kernels<float>().add_words, budget);
    for (std::size_t cell = 0; cell < n_cells; ++cell) {
        for (std::size_t birth = 0; birth < births; ++birth)
            if (has[cell][birth]) by_cells.add(static_cast<BirthIndex>(birth));
        const BirthIndex dead = by_cells.reduce();
        if (dead >= 0) killer[static_cast<std::size_t>(dead)] = static_cast<BirthIndex>(cell);
    }
    adabet::Columns by_births(n_cells, adabet::rips_kernels<float>().add_words, budget);
    for (std::size_t birth = births; birth-- > 0;) {
        for (std::size_t cell = 0; cell < n_cells; ++cell)
            if (has[cell][birth]) by_births.add(static_cast<BirthIndex>(n_cells - 1 - cell));
        const BirthIndex last = by_births.reduce();
        if (last >= 0) transposed[birth] = static_cast<BirthIndex>(n_cells) - 1 - last;
    }
    CHECK(killer == transposed);
}

/// The rule decides between bits and lists, and nothing else does: seen by their bytes.
void bytes() {
    const auto peak = [](std::size_t entries, adabet::ColumnRule rule) {
        adabet::MemoryBudget budget;
        constexpr std::size_t births = 64 * 1024;
        adabet::Columns columns(births, adabet::rips_kernels<float>().add_words, budget, rule);
        const std::size_t before = budget.used();
        columns.add(births - 1);  // the pivot: 1024 words for bits
        for (std::size_t e = 0; e < entries; ++e) columns.add(static_cast<BirthIndex>(16 * e));
        columns.add(static_cast<BirthIndex>(births - 2));
        columns.reduce();
        return budget.used() - before;
    };
    constexpr std::size_t bits = 8 * 1024;
    CHECK_EQ(peak(1023, {1}), bits);
    CHECK_EQ(peak(1022, {1}) < bits, true);
    CHECK_EQ(peak(1022, {kBitsOnly}), bits);
    CHECK_EQ(peak(1023, {0.5}) < bits, true);
    CHECK_EQ(peak(2047, {0.5}), bits);
    CHECK_EQ(peak(3999, {0}), std::size_t{4} * 4000);
}

}  // namespace

int main() {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        compare(1, 3, 2, seed);
        compare(63, 100, 5, seed);
        compare(64, 100, 40, seed);
        compare(300, 500, 3, seed);
        compare(300, 500, 200, seed);
        compare(2000, 1500, 8, seed);
        for (const double worth : {0.0, 0.25, 4.0, kBitsOnly}) {
            compare(300, 500, 3, seed, {worth});
            if (seed < 4) compare(300, 500, 200, seed, {worth});
            if (seed == 0) compare(1000, 1200, 20, seed, {worth});
        }
        transpose(40, 60, 5, seed);
        transpose(200, 150, 30, seed);
    }
    bytes();
    return check::result();
}
