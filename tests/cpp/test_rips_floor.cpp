// The floor of the filtration against plain definitions: relative neighbourhood graph, edge stream, lune search, on every
// instruction set and thread count.

#include <numeric>

#include "adabet/rips/classifier.hpp"
#include "adabet/rips/edge_stream.hpp"
#include "adabet/rips/kernels.hpp"
#include "adabet/rips/relative_neighbourhood.hpp"
#include "adabet/rips/slot_order.hpp"
#include "check.hpp"
#include "clouds.hpp"
#include "copy_tiles.hpp"

namespace {

using namespace adabet;

template <class Real>
std::vector<RankedEdge<Real>> all_edges(const DistanceMatrix<Real>& d, LengthKey<Real> longest) {
    std::vector<RankedEdge<Real>> edges;
    for (std::size_t b = 0; b < d.n; ++b)
        for (std::size_t a = 0; a < b; ++a)
            if (length_key(d(a, b)) <= std::min(longest, longest_finite_key<Real>))
                edges.push_back(ranked_edge(d, static_cast<Vertex>(a), static_cast<Vertex>(b)));
    std::sort(edges.begin(), edges.end());
    return edges;
}

template <class Real>
std::vector<Vertex> lune(const DistanceMatrix<Real>& d, const RankedEdge<Real>& edge) {
    std::vector<Vertex> vertices;
    for (Vertex v = 0; static_cast<std::size_t>(v) < d.n; ++v)
        if (v != edge.a && v != edge.b && ranked_edge(d, edge.a, v) < edge && ranked_edge(d, edge.b, v) < edge)
            vertices.push_back(v);
    return vertices;
}

template <class Real>
void check_relative_neighbourhood(const DistanceMatrix<Real>& d) {
    const LengthKey<Real> longest = longest_finite_key<Real>;
    std::vector<RankedEdge<Real>> expected;
    for (const auto& edge : all_edges(d, longest))
        if (lune(d, edge).empty()) expected.push_back(edge);
    const clouds::CopyTiles<Real> tiles(d);
    for (const Distances<Real>& distances : {Distances<Real>(d), Distances<Real>(tiles)}) {
        for (const int threads : {1, 2, 7}) {
            MemoryBudget budget;
            const Execution execution{budget, threads, {}};
            const auto survey = survey_distances(distances, execution);
            const auto got = relative_neighbourhood_graph(distances, survey, longest, execution);
            CHECK(std::equal(got.begin(), got.end(), expected.begin(), expected.end()));
        }
    }
    for (const Isa isa : available_isas()) {
        const RipsKernels<Real>& kernels = rips_kernels<Real>(isa);
        std::size_t empty = 0;
        for (const auto& edge : all_edges(d, longest)) {
            const Real* const row_a = d.row(static_cast<std::size_t>(edge.a));
            const Real* const row_b = d.row(static_cast<std::size_t>(edge.b));
            const bool whole = kernels.lune_has(row_a, row_b, edge, 0, d.n, 0);
            bool parts = false;
            for (std::size_t v = 0; v < d.n; v += 41)
                parts = parts || kernels.lune_has(row_a + v, row_b + v, edge, v, std::min(d.n, v + 41), v);
            CHECK_EQ(whole, parts);
            empty += whole ? 0 : 1;
        }
        CHECK_EQ(empty, expected.size());
    }
}

template <class Real>
void check_edge_stream(const DistanceMatrix<Real>& d, LengthKey<Real> longest,
                       const std::vector<std::size_t>& batches = {1, 50, 1000, std::size_t{1} << 20}) {
    const auto expected = all_edges(d, longest);
    for (const std::size_t largest : batches) {
        for (const std::size_t first : {std::size_t{1}, std::size_t{64}, std::size_t{100000}}) {
            const clouds::CopyTiles<Real> tiles(d);
            for (const Distances<Real>& distances : {Distances<Real>(d), Distances<Real>(tiles)}) {
                for (const int threads : {1, 2}) {
                    if (threads == 2 && d.n < 768) continue;  // too small for them
                    if (!distances.is_resident() && largest < 1000 && first > 1) continue;
                    MemoryBudget budget;
                    const Execution execution{budget, threads, {}};
                    const auto survey = survey_distances(distances, execution);
                    EdgeStream<Real> stream(distances, survey.bounds, longest, first, largest, execution);
                    std::vector<RankedEdge<Real>> got;
                    while (stream.next()) {
                        CHECK(stream.edges().size() <= std::max(largest, d.n));
                        got.insert(got.end(), stream.edges().begin(), stream.edges().end());
                    }
                    CHECK(got == expected);
                }
            }
        }
    }
}

/// Components by union of labels, for every edge of the filtration in turn.
template <class Real>
void check_classification(const DistanceMatrix<Real>& d) {
    const auto edges = all_edges(d, longest_finite_key<Real>);
    std::vector<std::size_t> components(edges.size());
    for (std::size_t i = 0; i < edges.size(); ++i) {
        const std::vector<Vertex> vertices = lune(d, edges[i]);
        std::vector<std::size_t> label(vertices.size());
        std::iota(label.begin(), label.end(), std::size_t{0});
        for (std::size_t x = 0; x < vertices.size(); ++x) {
            for (std::size_t y = 0; y < x; ++y) {
                if (!(ranked_edge(d, vertices[x], vertices[y]) < edges[i]) || label[x] == label[y]) continue;
                std::replace(label.begin(), label.end(), std::size_t{label[x]}, std::size_t{label[y]});
            }
        }
        std::sort(label.begin(), label.end());
        components[i] = static_cast<std::size_t>(std::unique(label.begin(), label.end()) - label.begin());
    }
    MemoryBudget budget;
    const Execution execution{budget};
    std::vector<Vertex> identity(d.n);
    std::iota(identity.begin(), identity.end(), 0);
    const auto central = slot_order(survey_distances<Real>(d, execution), d.n, execution);
    for (const Isa isa : available_isas()) {
        for (const std::span<const Vertex> order :
             {std::span<const Vertex>(identity), std::span<const Vertex>(central)}) {
            BitGraph graph(order, budget);
            LuneScratch scratch(graph, budget);
            CriticalEdges critical(budget);
            rips_kernels<Real>(isa).classify_edges(graph, scratch, edges.data(), edges.size(), critical);
            std::size_t at = 0;
            for (std::size_t i = 0; i < edges.size(); ++i) {
                if (components[i] < 2) continue;
                if (!CHECK(at < critical.items.size() && critical.items[at].edge == i)) return;
                CHECK_EQ(critical.representatives(at).size(), components[i]);
                ++at;
            }
            CHECK_EQ(at, critical.items.size());
        }
    }
}

template <class Real>
void check_row_kernels(const DistanceMatrix<Real>& d) {
    const Real* const row = d.row(d.n / 2);
    const LengthKey<Real> longest =
        *std::max_element(row, row + d.n) > 0 ? length_key(*std::max_element(row, row + d.n)) : 0;
    for (const Isa isa : available_isas()) {
        const RipsKernels<Real>& kernels = rips_kernels<Real>(isa);
        CHECK_EQ(kernels.row_maximum(row, d.n), longest);
        CHECK_EQ(kernels.row_sum(row, d.n), rips_kernels<Real>(Isa::baseline).row_sum(row, d.n));
        std::vector<BitGraph::Word> x(37);
        std::vector<BitGraph::Word> y(37);
        clouds::Random random(5);
        for (std::size_t i = 0; i < x.size(); ++i) {
            x[i] = random.next() << 20;
            y[i] = random.next();
        }
        auto sum = x;
        kernels.add_words(sum.data(), y.data(), sum.size());
        for (std::size_t i = 0; i < x.size(); ++i) CHECK_EQ(sum[i], x[i] ^ y[i]);
    }
}

template <class Real>
void check_enclosing_radius(const DistanceMatrix<Real>& d) {
    MemoryBudget budget;
    const EnclosingRadius<Real> got = survey_distances<Real>(d, Execution{budget}).enclosing;
    Real expected = infinity<Real>;
    for (std::size_t a = 0; a < d.n; ++a) expected = std::min(expected, *std::max_element(d.row(a), d.row(a) + d.n));
    if (d.n < 2) expected = infinity<Real>;
    CHECK_EQ(got.radius, expected);
    if (got.edge.a >= 0)
        CHECK_EQ(d(static_cast<std::size_t>(got.edge.a), static_cast<std::size_t>(got.edge.b)), expected);
}

template <class Real>
void check_classifier(const DistanceMatrix<Real>& d, const std::vector<RankedEdge<Real>>& edges,
                      const Survey<Real>& survey);

/// Enough points for bounds of groups, threads, and several blocks in a row of bits.
template <class Real>
void check_large(const DistanceMatrix<Real>& d) {
    const clouds::CopyTiles<Real> tiles(d);
    const auto edges = all_edges(d, longest_finite_key<Real>);
    MemoryBudget budget;
    const Execution one{budget};
    const Execution three{budget, 3, {}};
    const Survey<Real> survey = survey_distances<Real>(d, one);
    const Survey<Real> by_tiles = survey_distances(Distances<Real>(tiles), three);
    CHECK_EQ(by_tiles.enclosing.radius, survey.enclosing.radius);
    const BlockBounds<Real>& bounds = survey.bounds;
    CHECK(bounds.known());
    for (std::size_t a = 0; a < bounds.groups(); ++a) {
        for (std::size_t b = 0; b < bounds.groups(); ++b) {
            LengthKey<Real> least = std::numeric_limits<LengthKey<Real>>::max();
            LengthKey<Real> most = 0;
            for (std::size_t i = bounds.points(a).begin; i < bounds.points(a).end; ++i)
                for (std::size_t j = bounds.points(b).begin; j < bounds.points(b).end; ++j) {
                    least = std::min(least, length_key(d(i, j)));
                    most = std::max(most, length_key(d(i, j)));
                }
            CHECK(bounds.least(a)[b] == least && bounds.most(a)[b] == most);
            CHECK(by_tiles.bounds.least(a)[b] == least && by_tiles.bounds.most(a)[b] == most);
        }
    }
    check_edge_stream(d, longest_finite_key<Real>, {20'000, std::size_t{1} << 20});
    check_edge_stream(d, edges[edges.size() / 5].key, {5'000, std::size_t{1} << 20});
    const auto expected = relative_neighbourhood_graph(Distances<Real>(d), survey, longest_finite_key<Real>, one);
    for (const auto& edge : expected) CHECK(lune(d, edge).empty());
    std::size_t empty = 0;
    for (std::size_t i = 0; i < edges.size(); i += 97) empty += lune(d, edges[i]).empty() ? 1 : 0;
    std::size_t found = 0;
    for (std::size_t i = 0; i < edges.size(); i += 97)
        found += std::binary_search(expected.begin(), expected.end(), edges[i]) ? 1 : 0;
    CHECK_EQ(found, empty);
    for (const Distances<Real>& distances : {Distances<Real>(d), Distances<Real>(tiles)}) {
        for (const Execution& execution : {one, three}) {
            const auto got = relative_neighbourhood_graph(distances, survey_distances(distances, execution),
                                                          longest_finite_key<Real>, execution);
            CHECK(got == expected);
        }
    }
    check_classifier(d, edges, survey);
}

/// The same critical edges whatever the threads.
template <class Real>
void check_classifier(const DistanceMatrix<Real>& d, const std::vector<RankedEdge<Real>>& edges,
                      const Survey<Real>& survey) {
    MemoryBudget budget;
    std::vector<std::vector<std::size_t>> critical;
    for (const int threads : {1, 2, 5}) {
        const Execution execution{budget, threads, {}};
        Classifier<Real> classifier(slot_order(survey, d.n, execution), threads, execution);
        critical.emplace_back();
        std::size_t begin = 0;
        classifier.process(edges, [&](std::span<const RankedEdge<Real>> stretch, const CriticalEdges& found) {
            CHECK(stretch.data() == edges.data() + begin);
            const BitGraph& graph = classifier.graph();
            for (const RankedEdge<Real>& edge : {stretch.front(), stretch.back()}) {
                const std::size_t b = graph.slot(edge.b);
                CHECK((graph.row(graph.slot(edge.a))[b / BitGraph::kWordBits] >> (b % BitGraph::kWordBits) & 1) != 0);
            }
            for (std::size_t i = 0; i < found.items.size(); ++i) {
                critical.back().push_back(begin + found.items[i].edge);
                for (const Vertex v : found.representatives(i)) critical.back().push_back(static_cast<std::size_t>(v));
            }
            begin += stretch.size();
            return true;
        });
        CHECK_EQ(begin, edges.size());
        // None is handed on any more once it was refused.
        Classifier<Real> ended(slot_order(survey, d.n, execution), threads, execution);
        std::size_t seen = 0;
        ended.process(edges, [&](std::span<const RankedEdge<Real>> stretch, const CriticalEdges&) {
            CHECK(seen < edges.size() / 2);
            seen += stretch.size();
            return seen < edges.size() / 2;
        });
        CHECK(seen >= edges.size() / 2);
    }
    CHECK(!critical[0].empty());
    CHECK(critical[1] == critical[0]);
    CHECK(critical[2] == critical[0]);
}

template <class Real>
void check_all(std::size_t n, std::uint64_t seed) {
    for (const std::string& kind : clouds::kinds()) {
        const auto matrix = clouds::make<Real>(kind, n, seed);
        check_relative_neighbourhood(matrix.view());
        check_edge_stream(matrix.view(), longest_finite_key<Real>);
        check_edge_stream(matrix.view(), length_key(matrix.data[n / 2]));
        check_row_kernels(matrix.view());
        check_enclosing_radius(matrix.view());
        if (n < 100) check_classification(matrix.view());
    }
}

}  // namespace

int main() {
    check_all<float>(40, 1);
    check_all<double>(33, 2);
    check_all<float>(90, 3);
    check_all<float>(120, 4);
    check_all<double>(110, 5);
    const auto wide = clouds::make<float>("points", 410, 6);  // enough points for threads, witnesses and several blocks
    check_relative_neighbourhood(wide.view());
    const auto tied = clouds::make<float>("few_valued", 400, 7);
    check_relative_neighbourhood(tied.view());
    check_large(clouds::make<float>("points", 803, 8).view());
    check_large(clouds::make<double>("grid", 790, 9).view());
    check_large(clouds::make<float>("random", 770, 10).view());
    return check::result();
}
