// Columns with lazily reduced storage against the plain left-to-right reduction: the same pivots, in the same order.

#include <algorithm>
#include <iterator>
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

void compare(std::size_t births, std::size_t n_columns, std::size_t entries, std::uint64_t seed) {
    clouds::Random random(seed);
    adabet::MemoryBudget budget;
    {
        adabet::Columns columns(births, adabet::rips_kernels<float>().add_words, budget);
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

}  // namespace

int main() {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        compare(1, 3, 2, seed);
        compare(63, 100, 5, seed);
        compare(64, 100, 40, seed);
        compare(300, 500, 3, seed);
        compare(300, 500, 200, seed);
        compare(2000, 1500, 8, seed);
    }
    return check::result();
}
