// The engine against the definition, on thousands of small clouds of every kind, down to the edges.

#include <cmath>

#include "adabet/persistence/h1.hpp"
#include "check.hpp"
#include "clouds.hpp"
#include "textbook.hpp"

namespace {

using adabet::Barcode;
using adabet::Edge;
using adabet::Execution;
using adabet::MemoryBudget;

template <class Real>
bool same(const Barcode<Real>& got, const std::vector<textbook::Bar<Real>>& expected) {
    if (got.intervals.size() != expected.size()) return false;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const bool values = got.intervals[i].birth == expected[i].birth && got.intervals[i].death == expected[i].death;
        if (!values) return false;
        // Bars that die at the enclosing radius are given the edge that attains it, whichever tied edge the matrix takes;
        // and among bars of equal birth and death the order is by birth edge on both sides.
        if (!(got.birth_edges[i] == expected[i].birth_edge)) return false;
        if (expected[i].death < got.enclosing_radius && !(got.death_edges[i] == expected[i].death_edge)) return false;
    }
    return true;
}

template <class Real>
void compare(const std::string& kind, std::size_t n, std::uint64_t seed) {
    const auto matrix = clouds::make<Real>(kind, n, seed);
    clouds::Random random(seed + 77);
    Real threshold = std::numeric_limits<Real>::infinity();
    if (n > 1 && random.below(3) == 0) {
        const std::size_t i = random.below(n);
        const std::size_t j = random.below(n);
        if (i != j) threshold = matrix.data[i * n + j];
    }
    if (n > 1 && random.below(8) == 0) threshold = std::nextafter(threshold, Real{0});
    MemoryBudget budget;
    const Execution execution{budget};
    const auto expected = textbook::h1(matrix.view(), threshold);
    const auto got = adabet::h1(matrix.view(), threshold, execution);
    // At its enclosing radius the complex is a cone; the definition agrees, whatever the threshold beyond it.
    if (!CHECK(same(got, expected)))
        std::fprintf(stderr, "  %s n=%zu seed=%llu\n", kind.c_str(), n, static_cast<unsigned long long>(seed));
    if (!CHECK_EQ(adabet::betti1(matrix.view(), threshold, execution), expected.size()))
        std::fprintf(stderr, "  betti1: %s n=%zu seed=%llu\n", kind.c_str(), n, static_cast<unsigned long long>(seed));
    CHECK_EQ(budget.used(), std::size_t{0});
}

}  // namespace

int main() {
    for (const std::string& kind : clouds::kinds()) {
        for (std::uint64_t seed = 0; seed < 150; ++seed) {
            compare<float>(kind, 2 + seed % 13, seed);
            compare<double>(kind, 2 + seed % 13, seed + 1000);
        }
        for (std::uint64_t seed = 0; seed < 8; ++seed) compare<float>(kind, 20, seed + 5000);
    }
    for (std::size_t n = 0; n < 4; ++n) compare<float>("points", n, n);
    return check::result();
}
