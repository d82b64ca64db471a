#include "adabet/persistence/representatives.hpp"

#include <algorithm>
#include <bit>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

#include "adabet/rips/adjacency.hpp"
#include "adabet/rips/bit_graph.hpp"
#include "adabet/rips/edge_stream.hpp"
#include "adabet/rips/shortest_path.hpp"
#include "adabet/rips/sparse_edges.hpp"

namespace adabet {

namespace {

constexpr std::size_t kEdgesPerCheck = 1024;
constexpr std::size_t kFirstBatchFactor = 8;
constexpr std::size_t kSmallestBatch = 4096;

/// The birth of an interval, by the points' numbers in the filtration.
template <class Real>
struct Birth {
    RankedEdge<Real> edge;
    std::size_t interval;
};

template <class Real>
Buffer<Birth<Real>> births_in_order(const Barcode<Real>& barcode, std::span<const Vertex> order, MemoryBudget& budget) {
    auto number_of = make_buffer<Vertex>(budget, order.size());
    for (std::size_t v = 0; v < order.size(); ++v)
        number_of[static_cast<std::size_t>(order[v])] = static_cast<Vertex>(v);
    const auto number = [&](Vertex row) { return order.empty() ? row : number_of[static_cast<std::size_t>(row)]; };
    auto births = make_buffer<Birth<Real>>(budget, barcode.intervals.size());
    for (std::size_t i = 0; i < births.size(); ++i) {
        const Vertex x = number(barcode.birth_edges[i].a);
        const Vertex y = number(barcode.birth_edges[i].b);
        births[i] = {{length_key(barcode.intervals[i].birth), std::max(x, y), std::min(x, y)}, i};
    }
    std::sort(births.begin(), births.end(), [](const Birth<Real>& x, const Birth<Real>& y) { return x.edge < y.edge; });
    return births;
}

/// Puts loops that were found in the order of births into that of the intervals.
template <class Real>
void write_loops(const Buffer<Birth<Real>>& births, std::span<const Vertex> order,
                 const std::vector<std::vector<Vertex>>& loops, Barcode<Real>& barcode) {
    std::vector<std::size_t> at(births.size());
    for (std::size_t i = 0; i < births.size(); ++i) at[births[i].interval] = i;
    barcode.loop_ends.reserve(births.size());
    for (const std::size_t i : at) {
        for (const Vertex v : loops[i])
            barcode.loop_vertices.push_back(order.empty() ? v : order[static_cast<std::size_t>(v)]);
        barcode.loop_ends.push_back(barcode.loop_vertices.size());
    }
}

std::vector<Vertex> checked(bool found, std::vector<Vertex> path) {
    if (!found) throw std::logic_error("a birth edge whose ends no earlier edges join");
    return path;
}

/// Bit rows that are numbered as the points are.
class LoopGraph {
public:
    LoopGraph(std::size_t n, MemoryBudget& budget) : graph_(identity(n, budget), budget), search_(n, budget) {}

    void connect(const Edge& edge) {
        graph_.connect(static_cast<std::size_t>(edge.a), static_cast<std::size_t>(edge.b));
    }
    [[nodiscard]] std::vector<Vertex> path(const Edge& edge) {
        const auto for_each_neighbour = [&](Vertex v, const auto& visit) {
            const auto slot = static_cast<std::size_t>(v);
            const BitGraph::Word* const row = graph_.row(slot);
            for (std::size_t s = 0; s < graph_.summary_words(); ++s)
                for (auto blocks = graph_.summary(slot)[s]; blocks != 0; blocks &= blocks - 1) {
                    const std::size_t block = s * 64 + static_cast<std::size_t>(std::countr_zero(blocks));
                    for (std::size_t w = block * BitGraph::kBlockWords; w < (block + 1) * BitGraph::kBlockWords; ++w)
                        for (auto bits = row[w]; bits != 0; bits &= bits - 1)
                            visit(static_cast<Vertex>(w * 64 + static_cast<std::size_t>(std::countr_zero(bits))));
                }
        };
        const auto joined = [&](Vertex v, Vertex w) {
            const auto column = static_cast<std::size_t>(w);
            return (graph_.row(static_cast<std::size_t>(v))[column / 64] >> (column % 64) & 1) != 0;
        };
        std::vector<Vertex> vertices;
        const bool found = search_.find(edge.a, edge.b, for_each_neighbour, joined, vertices);
        return checked(found, std::move(vertices));
    }

private:
    static Buffer<Vertex> identity(std::size_t n, MemoryBudget& budget) {
        auto slots = make_buffer<Vertex>(budget, n);
        std::iota(slots.begin(), slots.end(), 0);
        return slots;
    }

    BitGraph graph_;
    ShortestPath search_;
};

}  // namespace

template <class Real>
void add_representatives(const Distances<Real>& distances, const Survey<Real>& survey, std::span<const Vertex> order,
                         const RunLimits& limits, Barcode<Real>& barcode, const Execution& execution) {
    const Buffer<Birth<Real>> births = births_in_order(barcode, order, execution.budget);
    std::vector<std::vector<Vertex>> loops;
    loops.reserve(births.size());
    if (!births.empty()) {
        LoopGraph graph(distances.n(), execution.budget);
        EdgeStream<Real> stream(distances, survey.bounds, births.back().edge.key,
                                std::max(kSmallestBatch, kFirstBatchFactor * distances.n()), limits.largest_batch,
                                execution);
        while (loops.size() < births.size() && stream.next()) {
            std::size_t taken = 0;
            for (const RankedEdge<Real>& edge : stream.edges()) {
                if (taken++ % kEdgesPerCheck == 0) execution.check();
                if (loops.size() == births.size()) break;
                if (edge == births[loops.size()].edge) {
                    execution.check();
                    loops.push_back(graph.path(edge.edge()));
                }
                graph.connect(edge.edge());
            }
        }
    }
    write_loops(births, order, loops, barcode);
}

template <class Real>
void add_representatives(std::span<const RankedEdge<Real>> edges, std::size_t n, std::span<const Vertex> order,
                         Barcode<Real>& barcode, const Execution& execution) {
    const Buffer<Birth<Real>> births = births_in_order(barcode, order, execution.budget);
    const Adjacency adjacency(edges, n, execution);
    ShortestPath search(n, execution.budget);
    std::vector<std::vector<Vertex>> loops;
    loops.reserve(births.size());
    for (const Birth<Real>& birth : births) {
        execution.check();
        const auto rank =
            static_cast<EdgeRank>(std::lower_bound(edges.begin(), edges.end(), birth.edge) - edges.begin());
        const auto for_each_neighbour = [&](Vertex v, const auto& visit) {
            for (const Adjacency::Neighbour& neighbour : adjacency.of(v)) {
                if (neighbour.rank >= rank) return;
                visit(neighbour.vertex);
            }
        };
        const auto joined = [&](Vertex v, Vertex w) {
            for (const Adjacency::Neighbour& neighbour : adjacency.of(v)) {
                if (neighbour.rank >= rank) return false;
                if (neighbour.vertex == w) return true;
            }
            return false;
        };
        std::vector<Vertex> path;
        const bool found = search.find(birth.edge.a, birth.edge.b, for_each_neighbour, joined, path);
        loops.push_back(checked(found, std::move(path)));
    }
    write_loops(births, order, loops, barcode);
}

template <class Real>
void add_representatives(const SparseEntries& graph, Real threshold, Barcode<Real>& barcode,
                         const Execution& execution) {
    const SparseEdges<Real> read = read_edges(graph, threshold, execution);
    add_representatives<Real>(read.edges, graph.n, {}, barcode, execution);
}

template void add_representatives(const Distances<float>&, const Survey<float>&, std::span<const Vertex>,
                                  const RunLimits&, Barcode<float>&, const Execution&);
template void add_representatives(const Distances<double>&, const Survey<double>&, std::span<const Vertex>,
                                  const RunLimits&, Barcode<double>&, const Execution&);
template void add_representatives(std::span<const RankedEdge<float>>, std::size_t, std::span<const Vertex>,
                                  Barcode<float>&, const Execution&);
template void add_representatives(std::span<const RankedEdge<double>>, std::size_t, std::span<const Vertex>,
                                  Barcode<double>&, const Execution&);
template void add_representatives(const SparseEntries&, float, Barcode<float>&, const Execution&);
template void add_representatives(const SparseEntries&, double, Barcode<double>&, const Execution&);

}  // namespace adabet
