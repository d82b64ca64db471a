// The Betti numbers of small clouds, found without lists or order, against the engine's bars.

#include "adabet/persistence/few_points.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "adabet/persistence/h1.hpp"
#include "adabet/rips/few_points.hpp"
#include "check.hpp"
#include "clouds.hpp"

namespace {

using adabet::Execution;
using adabet::MemoryBudget;

template <class Real>
std::size_t bars(const adabet::DistanceMatrix<Real>& matrix, Real threshold) {
    MemoryBudget budget;
    return adabet::h1(matrix, threshold, Execution{budget}).intervals.size();
}

template <class Real>
bool has_distinct_lengths(const adabet::DistanceMatrix<Real>& matrix) {
    std::set<Real> lengths;
    for (std::size_t i = 0; i < matrix.n; ++i)
        for (std::size_t j = i + 1; j < matrix.n; ++j)
            if (!lengths.insert(matrix(i, j)).second) return false;
    return true;
}

struct Tally {
    std::size_t distinct = 0;
    std::size_t answered = 0;
    std::size_t tied_and_answered = 0;
};

template <class Real>
void compare(const std::string& kind, std::size_t n, std::uint64_t seed, Tally& tally) {
    const auto cloud = clouds::make<Real>(kind, n, seed);
    const auto matrix = cloud.view();
    clouds::Random random(seed + 5);
    Real threshold = std::numeric_limits<Real>::infinity();
    if (random.below(2) == 0) threshold = matrix(random.below(n), random.below(n));
    const auto got = adabet::betti1_of_few_points(matrix, threshold);
    const bool is_distinct = has_distinct_lengths(matrix);
    tally.distinct += is_distinct ? 1 : 0;
    tally.answered += got.has_value() ? 1 : 0;
    tally.tied_and_answered += got.has_value() && !is_distinct ? 1 : 0;
    CHECK(got.has_value() || !is_distinct);
    if (got.has_value() && !CHECK_EQ(*got, bars(matrix, threshold)))
        std::fprintf(stderr, "  %s n=%zu seed=%llu\n", kind.c_str(), n, static_cast<unsigned long long>(seed));
}

/// Lengths with no edge among them, and points that have none at all.
template <class Real>
void compare_with_holes(std::size_t n, std::uint64_t seed) {
    auto cloud = clouds::make<Real>("points", n, seed);
    clouds::Random random(seed);
    constexpr Real no_edge = std::numeric_limits<Real>::infinity();
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = i + 1; j < n; ++j)
            if (random.below(3) == 0 || j == n - 1) cloud.data[i * n + j] = cloud.data[j * n + i] = no_edge;
    const auto got = adabet::betti1_of_few_points(cloud.view(), no_edge);
    CHECK(got.has_value());
    if (got.has_value()) CHECK_EQ(*got, bars(cloud.view(), no_edge));
}

template <class Real>
void check_limits() {
    constexpr std::size_t most = adabet::FewPoints<Real>::kMost;
    constexpr Real no_limit = std::numeric_limits<Real>::infinity();
    const auto largest = clouds::make<Real>("points", most, 1);
    CHECK(adabet::betti1_of_few_points(largest.view(), no_limit).has_value());
    const auto beyond = clouds::make<Real>("points", most + 1, 1);
    CHECK(!adabet::betti1_of_few_points(beyond.view(), no_limit).has_value());

    // Two halves, all edges between them shorter than all within: every one of those has an empty lune.
    clouds::Random random(3);
    auto halves = clouds::make<Real>("points", most, 2);
    for (std::size_t i = 0; i < most; ++i)
        for (std::size_t j = i + 1; j < most; ++j) {
            const Real base = (i % 2 == j % 2) ? Real{2} : Real{1};
            const Real length = base + static_cast<Real>(random.below(1U << 20U)) / Real{1U << 21U};
            halves.data[i * most + j] = halves.data[j * most + i] = length;
        }
    CHECK(!adabet::betti1_of_few_points(halves.view(), no_limit).has_value());
    MemoryBudget budget;
    CHECK_EQ(adabet::betti1(halves.view(), no_limit, Execution{budget}), bars(halves.view(), no_limit));
}

template <class Real>
void compare_all() {
    Tally tally;
    for (const std::string& kind : clouds::kinds())
        for (std::uint64_t seed = 0; seed < 40; ++seed) compare<Real>(kind, 2 + seed * 7 % 60, seed, tally);
    for (const std::size_t n : {15, 16, 17, 31, 32, 33, 63, 64, 65, 80, 88})
        for (std::uint64_t seed = 0; seed < 5; ++seed) compare<Real>("points", n, seed, tally);
    // Neither is an accident: distinct lengths, and equal ones that bear on nothing.
    CHECK(tally.distinct > 100);
    CHECK(tally.tied_and_answered > 10);
    for (std::size_t n = 2; n < 60; ++n) compare_with_holes<Real>(n, n);
    check_limits<Real>();
}

}  // namespace

int main() {
    compare_all<float>();
    compare_all<double>();
    return check::result();
}
