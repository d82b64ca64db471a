// The sparse plan against the definition and against the dense plan: graphs of every kind, down to the edges; then how it runs.

#include <cmath>

#include "adabet/persistence/h1.hpp"
#include "adabet/persistence/sparse_h1.hpp"
#include "check.hpp"
#include "clouds.hpp"
#include "graphs.hpp"
#include "textbook.hpp"

namespace {

using namespace adabet;

template <class Real>
bool same(const Barcode<Real>& got, const Barcode<Real>& expected) {
    return got.intervals == expected.intervals && got.birth_edges == expected.birth_edges &&
           got.death_edges == expected.death_edges && got.h0_deaths == expected.h0_deaths &&
           got.components == expected.components && got.enclosing_radius == expected.enclosing_radius &&
           got.enclosing_radius == expected.enclosing_radius && got.stats.births == expected.stats.births;
}

template <class Real>
void compare(const graphs::Graph<Real>& graph, Real threshold, const std::string& what) {
    MemoryBudget budget;
    {
        const Execution execution{budget};
        const auto dense = read_sparse<Real>(graph.entries(), execution);
        const auto expected = h1(dense.matrix(), threshold, execution);
        const auto got = h1_of_graph(graph.entries(), threshold, Execution{budget, 2, {}});
        if (!CHECK(same(got, expected))) std::fprintf(stderr, "  %s\n", what.c_str());
        const std::size_t count = count_bars_of_graph(graph.entries(), threshold, Real{0}, execution);
        if (!CHECK_EQ(count, expected.intervals.size())) std::fprintf(stderr, "  betti1: %s\n", what.c_str());
        if (graph.n > 24) return;
        const auto bars = textbook::h1(dense.matrix(), threshold);
        bool equal = bars.size() == got.intervals.size();
        for (std::size_t i = 0; equal && i < bars.size(); ++i) {
            // Bars that die at the enclosing radius are given the edge that attains it, whichever tied edge the reduction takes.
            equal = bars[i].birth == got.intervals[i].birth && bars[i].death == got.intervals[i].death &&
                    bars[i].birth_edge == got.birth_edges[i] &&
                    (bars[i].death == got.enclosing_radius || bars[i].death_edge == got.death_edges[i]);
        }
        if (!CHECK(equal)) std::fprintf(stderr, "  by the definition: %s\n", what.c_str());
    }
    CHECK_EQ(budget.used(), std::size_t{0});
}

template <class Real>
void check_kinds() {
    for (const std::string& kind : clouds::kinds()) {
        for (std::uint64_t seed = 0; seed < 60; ++seed) {
            clouds::Random random(seed + 31);
            const std::size_t n = seed % 20 == 19 ? 60 : seed % 18;
            const auto matrix = clouds::make<Real>(kind, n, seed);
            const double kept = seed % 3 == 0 ? 1 : random.uniform();
            const auto graph = graphs::from_matrix(matrix, kept, random);
            Real threshold = infinity<Real>;
            if (graph.lengths.size() > 1 && random.below(3) == 0)
                threshold = graph.lengths[random.below(graph.lengths.size())];
            if (random.below(8) == 0) threshold = std::nextafter(threshold, Real{0});
            compare(graph, threshold, kind + " n=" + std::to_string(n) + " seed=" + std::to_string(seed));
        }
    }
}

void check_shapes() {
    for (const std::string& shape : graphs::shapes()) {
        for (std::uint64_t seed = 0; seed < 6; ++seed)
            compare(graphs::make<float>(shape, seed % 2 == 0 ? 20 : 300, seed), infinity<float>, shape);
        compare(graphs::make<float>(shape, 1500, 3), infinity<float>, shape + " 1500");
    }
}

void check_threads() {
    const auto graph = graphs::make<float>("near", 4000, 5);
    MemoryBudget budget;
    const auto one = h1_of_graph(graph.entries(), infinity<float>, Execution{budget, 1, {}});
    CHECK(one.intervals.size() > 100);
    for (const int threads : {2, 7})
        CHECK(same(h1_of_graph(graph.entries(), infinity<float>, Execution{budget, threads, {}}), one));
}

void check_budget() {
    const auto graph = graphs::make<float>("near", 3000, 2);
    MemoryBudget unlimited;
    const auto expected = h1_of_graph(graph.entries(), infinity<float>, Execution{unlimited});
    const std::size_t peak = unlimited.peak();
    CHECK_EQ(expected.stats.peak_bytes, peak);
    std::size_t refused = 0;
    for (std::size_t limit = 0; limit < peak; limit += peak / 31 + 1) {
        MemoryBudget budget(limit);
        try {
            CHECK(same(h1_of_graph(graph.entries(), infinity<float>, Execution{budget}), expected));
        } catch (const BudgetExceeded& error) {
            ++refused;
            CHECK(error.budget == limit && error.needed > limit);
        }
        CHECK(budget.peak() <= limit);
        CHECK_EQ(budget.used(), std::size_t{0});
    }
    CHECK(refused > 5);
}

void check_cancellation() {
    const auto graph = graphs::make<float>("near", 3000, 2);
    MemoryBudget budget;
    int calls = 0;
    static_cast<void>(h1_of_graph(graph.entries(), infinity<float>, Execution{budget, 1, [&] { ++calls; }}));
    CHECK(calls > 20);
    for (int stop_at = 1; stop_at <= calls; stop_at += 1 + calls / 23) {
        int seen = 0;
        // Waiting for other threads checks as well, so with two of them the number of checkpoints is not the same each time.
        const Execution execution{budget, stop_at < calls / 3 ? 2 : 1, [&] {
                                      if (++seen == stop_at) throw Cancelled();
                                  }};
        CHECK_THROWS(Cancelled, h1_of_graph(graph.entries(), infinity<float>, execution));
        CHECK_EQ(budget.used(), std::size_t{0});
    }
}

void refuse(const graphs::Graph<double>& graph, const std::string& saying) {
    MemoryBudget budget;
    const Execution execution{budget, 2, {}};
    CHECK_THROWS_SAYING(InvalidInput, saying, h1_of_graph<double>(graph.entries(), infinity<double>, execution));
    CHECK_THROWS_SAYING(InvalidInput, saying, read_sparse<double>(graph.entries(), execution));
    CHECK_EQ(budget.used(), std::size_t{0});
}

void check_bad_input() {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    refuse({3, {0, 1}, {1, 3}, {1, 1}}, "entry number 1 lies outside its shape (3, 3)");
    refuse({3, {0, -1}, {1, 2}, {1, 1}}, "entry number 1 lies outside");
    refuse({3, {0, 1}, {1, 2}, {1, -2}}, "(1, 2) is negative: got -2");
    refuse({3, {0, 1}, {1, 2}, {1, nan}}, "(1, 2) is NaN");
    refuse({3, {0, 1}, {1, 1}, {1, 0.5}}, "diagonal entry (1, 1) is 0.5");
    refuse({3, {0, 1, 1}, {1, 1, 1}, {1, 0, 0}}, "gives the pair (1, 1) more than once");
    refuse({3, {0, 1, 0}, {1, 2, 1}, {1, 1, 1}}, "gives the pair (0, 1) more than once");
    refuse({3, {2, 2}, {1, 1}, {1, 1}}, "gives the pair (2, 1) more than once");
    refuse({3, {0, 1, 1}, {1, 0, 2}, {1, 1, 1}}, "(1, 2) is 1, (2, 1) is missing");
    refuse({3, {0, 1, 1, 2}, {1, 0, 2, 1}, {1, 1, 1, 1.5}}, "(1, 2) is 1, (2, 1) is 1.5");
    MemoryBudget budget;
    const graphs::Graph<float> empty{3, {}, {}, {}};
    CHECK_THROWS_SAYING(InvalidInput, "threshold", h1_of_graph(empty.entries(), -1.0F, Execution{budget}));
    CHECK_EQ(h1_of_graph(empty.entries(), infinity<float>, Execution{budget}).components, std::size_t{3});
}

}  // namespace

int main() {
    check_kinds<float>();
    check_kinds<double>();
    check_shapes();
    check_threads();
    check_budget();
    check_cancellation();
    check_bad_input();
    return check::result();
}
