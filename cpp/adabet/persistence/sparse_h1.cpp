#include "adabet/persistence/sparse_h1.hpp"

#include <algorithm>
#include <utility>

#include "adabet/errors.hpp"
#include "adabet/persistence/columns.hpp"
#include "adabet/persistence/components.hpp"
#include "adabet/persistence/rank_flow.hpp"
#include "adabet/persistence/sorted_bars.hpp"
#include "adabet/persistence/stopwatch.hpp"
#include "adabet/rips/kernels.hpp"
#include "adabet/rips/sparse_edges.hpp"
#include "adabet/rips/sparse_lunes.hpp"

namespace adabet {

namespace {

/// So many edges a point are classified at once, which is all of most graphs. Of later ones only the births are found
/// at first: where all classes die early, that is all there is to do.
constexpr std::size_t kFirstEdgesPerPoint = 24;
constexpr std::size_t kFirstEdges = std::size_t{1} << 16;
constexpr std::size_t kBatchGrowth = 2;
constexpr std::size_t kEdgesPerCheck = std::size_t{1} << 18;
constexpr std::size_t kCellsPerCheck = 64;
constexpr std::size_t kItemsPerReport = 256;
constexpr std::size_t kMostEdges = std::size_t{no_rank} - 1;

/// A graph's filtration, and what its edges do: births, forest, flows.
template <class Real>
class SparseFiltration {
public:
    SparseFiltration(Buffer<RankedEdge<Real>> edges, std::size_t n, const Window<Real>& window,
                     const Execution& execution)
        : window_(window),
          execution_(execution),
          edges_(std::move(edges)),
          n_births_edges_(ends_at(window.longest_birth)),
          graph_(checked(edges_, execution), n, execution),
          lunes_(graph_, execution),
          legs_(make_buffer<Legs>(execution.budget, edges_.size())),
          births_(make_buffer<EdgeRank>(execution.budget)),
          components_(n) {}

    [[nodiscard]] EdgeRank size() const { return static_cast<EdgeRank>(edges_.size()); }
    /// Edges up to the last length that can give a bar.
    [[nodiscard]] EdgeRank last_birth_rank() const { return n_births_edges_; }
    [[nodiscard]] const RankedEdge<Real>& edge(EdgeRank rank) const { return edges_[rank]; }
    [[nodiscard]] const Buffer<RankedEdge<Real>>& edges() const { return edges_; }
    [[nodiscard]] const Buffer<EdgeRank>& births() const { return births_; }
    [[nodiscard]] const Buffer<Legs>& legs() const { return legs_; }
    [[nodiscard]] std::size_t components() const { return components_; }

    [[nodiscard]] CriticalLunes classify(EdgeRank begin, EdgeRank end, const Buffer<std::uint64_t>* wanted = nullptr) {
        return lunes_.classify(begin, end, wanted, legs_);
    }
    void find_empty(EdgeRank begin, EdgeRank end) {
        if (begin < end) lunes_.find_empty(begin, end, legs_);
    }

    /// Gives the lists of neighbours back, once no edge is left to classify.
    void forget_graph() { graph_.clear(); }

    /// Numbers the births, once the legs of all edges are known; calls merge(length) for each edge of the forest.
    template <class Merge>
    void find_births(const Merge& merge) {
        Components sets(components_, execution_.budget);
        for (EdgeRank rank = 0; rank < size(); ++rank) {
            if (rank % kEdgesPerCheck == 0) execution_.check();
            Legs& legs = legs_[rank];
            if (legs.to_a != no_rank) continue;
            if (sets.join(edges_[rank].a, edges_[rank].b)) {
                merge(edges_[rank].length());
                --components_;
            } else if (rank < n_births_edges_) {
                legs.to_b = static_cast<EdgeRank>(births_.size());
                births_.push_back(rank);
            }
        }
    }

private:
    static std::span<const RankedEdge<Real>> checked(const Buffer<RankedEdge<Real>>& edges,
                                                     const Execution& execution) {
        if (edges.size() > kMostEdges)
            throw BudgetExceeded(execution.budget.limit(), edges.size() * sizeof(RankedEdge<Real>),
                                 "more edges than can be numbered");
        return edges;
    }
    [[nodiscard]] EdgeRank ends_at(LengthKey<Real> longest) const {
        const auto end = std::partition_point(edges_.begin(), edges_.end(),
                                              [longest](const RankedEdge<Real>& edge) { return edge.key <= longest; });
        return static_cast<EdgeRank>(end - edges_.begin());
    }

    const Window<Real>& window_;
    const Execution& execution_;
    Buffer<RankedEdge<Real>> edges_;
    EdgeRank n_births_edges_;
    Adjacency graph_;
    SparseLunes lunes_;
    Buffer<Legs> legs_;
    Buffer<EdgeRank> births_;
    std::size_t components_;
};

/// The columns of critical edges, one after another.
class SparseReduction {
public:
    SparseReduction(const Buffer<Legs>& legs, std::size_t n_births, std::size_t& cells, const Execution& execution)
        : cells_(cells),
          execution_(execution),
          flow_(legs, execution),
          columns_(n_births, rips_kernels<float>().add_words, execution.budget),
          n_births_(n_births) {}

    [[nodiscard]] bool all_dead() const { return columns_.deaths() == n_births_; }
    [[nodiscard]] const Columns& columns() const { return columns_; }

    /// The cells of one edge: the cycles a - v0 - b - vi - a. Calls dies(birth) for each class that one of them kills.
    /// Edges of ranks below `lowest` count as nothing.
    template <class Dies>
    void kill(std::span<const Legs> components, EdgeRank lowest, const Dies& dies) {
        for (const Legs& other : components.subspan(1)) {
            if (cells_++ % kCellsPerCheck == 0) execution_.check();
            for (const EdgeRank edge : {components.front().to_a, components.front().to_b, other.to_a, other.to_b})
                if (edge >= lowest) flow_.add(edge);
            flow_.run(lowest, [this](BirthIndex birth) { columns_.add(birth); });
            const BirthIndex dead = columns_.reduce();
            if (dead >= 0) dies(static_cast<std::size_t>(dead));
        }
    }

private:
    std::size_t& cells_;
    const Execution& execution_;
    RankFlow flow_;
    Columns columns_;
    std::size_t n_births_;
};

template <class Real>
Buffer<Bar<Real>> find_bars(SparseFiltration<Real>& filtration, CriticalLunes first, EdgeRank first_end,
                            const Window<Real>& window, Stats& stats, const Execution& execution) {
    auto bars = make_buffer<Bar<Real>>(execution.budget);
    const Buffer<EdgeRank>& births = filtration.births();
    if (births.empty()) return bars;
    Stopwatch watch;
    if (first_end == filtration.last_birth_rank()) filtration.forget_graph();
    SparseReduction reduction(filtration.legs(), births.size(), stats.critical_cells, execution);
    CriticalLunes critical = std::move(first);
    EdgeRank end = first_end;
    std::size_t seen = 0;
    for (;;) {
        for (const CriticalLunes::Item& item : critical.items) {
            if (reduction.all_dead()) break;
            const RankedEdge<Real>& edge = filtration.edge(item.edge);
            if (execution.report && seen++ % kItemsPerReport == 0)
                execution.report({item.edge, births.size(), births.size() - reduction.columns().deaths(),
                                  static_cast<double>(edge.length())});
            reduction.kill(critical.components(item), 0, [&](std::size_t dead) {
                const RankedEdge<Real>& birth = filtration.edge(births[dead]);
                if (edge.key > birth.key) bars.push_back({birth, edge.length(), edge.edge()});
            });
        }
        stats.edges = end;
        watch.lap(stats.seconds_columns);
        if (execution.report && end > 0)
            execution.report({end, births.size(), births.size() - reduction.columns().deaths(),
                              static_cast<double>(filtration.edge(end - 1).length())});
        if (reduction.all_dead() || end == filtration.last_birth_rank()) break;
        const EdgeRank begin = end;
        end =
            static_cast<EdgeRank>(std::min<std::size_t>(filtration.last_birth_rank(), kBatchGrowth * std::size_t{end}));
        critical = filtration.classify(begin, end);
        if (end == filtration.last_birth_rank()) filtration.forget_graph();
        watch.lap(stats.seconds_lunes);
    }
    // At the enclosing radius everything dies, whatever edge of that length does it; without one, what is left stays.
    const Real death = window.is_cone ? window.enclosing.radius : infinity<Real>;
    const Edge death_edge = window.is_cone ? window.enclosing.edge : Edge{};
    for (std::size_t i = 0; i < births.size(); ++i)
        if (!reduction.columns().is_dead(static_cast<BirthIndex>(i)))
            bars.push_back({filtration.edge(births[i]), death, death_edge});
    return bars;
}

/// Bits of the edges, not births themselves, that have the length of a birth; empty where none has.
template <class Real>
Buffer<std::uint64_t> tied_with_births(const SparseFiltration<Real>& filtration, const Execution& execution) {
    auto tied = make_buffer<std::uint64_t>(execution.budget);
    const Buffer<RankedEdge<Real>>& edges = filtration.edges();
    std::size_t high = 0;
    std::size_t steps = 0;
    for (const EdgeRank birth : filtration.births()) {
        if (birth < high) continue;  // tied with the birth before
        const auto key = edges[birth].key;
        std::size_t low = birth;
        while (low > high && edges[low - 1].key == key) --low;
        high = low;
        for (; high < edges.size() && edges[high].key == key; ++high) {
            if (++steps % kEdgesPerCheck == 0) execution.check();
            if (filtration.legs()[high].to_a == no_rank) continue;
            if (tied.empty()) tied.resize(edges.size() / 64 + 1, 0);
            tied[high / 64] |= std::uint64_t{1} << (high % 64);
        }
    }
    return tied;
}

/// See ZeroBars: only edges of the very length of a critical edge matter to whether it kills a class of that length.
template <class Real>
std::size_t count_zero_bars(SparseFiltration<Real>& filtration, const Execution& execution) {
    const Buffer<std::uint64_t> wanted = tied_with_births(filtration, execution);
    if (wanted.empty()) return 0;
    const CriticalLunes critical = filtration.classify(0, filtration.last_birth_rank(), &wanted);
    filtration.forget_graph();
    std::size_t cells = 0;
    SparseReduction reduction(filtration.legs(), filtration.births().size(), cells, execution);
    EdgeRank lowest = 0;
    for (const CriticalLunes::Item& item : critical.items) {
        const auto key = filtration.edge(item.edge).key;
        if (filtration.edge(lowest).key != key) {
            const auto at = std::partition_point(filtration.edges().begin(), filtration.edges().end(),
                                                 [key](const RankedEdge<Real>& edge) { return edge.key < key; });
            lowest = static_cast<EdgeRank>(at - filtration.edges().begin());
        }
        reduction.kill(critical.components(item), lowest, [](std::size_t) {});
    }
    return reduction.columns().deaths();
}

}  // namespace

template <class Real>
Barcode<Real> h1_of_edges(Buffer<RankedEdge<Real>> edges, std::size_t n, const Window<Real>& window,
                          const Execution& execution, std::span<const Vertex> order) {
    Barcode<Real> barcode;
    barcode.plan = PlanKind::sparse;
    Stats& stats = barcode.stats;
    Stopwatch watch;
    SparseFiltration<Real> filtration(std::move(edges), n, window, execution);
    watch.lap(stats.seconds_edges);
    const auto first_end = static_cast<EdgeRank>(
        std::min<std::size_t>(filtration.last_birth_rank(), std::max(kFirstEdges, kFirstEdgesPerPoint * n)));
    CriticalLunes critical = filtration.classify(0, first_end);
    watch.lap(stats.seconds_lunes);
    filtration.find_empty(first_end, filtration.size());
    filtration.find_births([&](Real length) {
        if (length > 0) barcode.h0_deaths.push_back(length);
    });
    barcode.enclosing_radius = window.enclosing.radius;
    barcode.components = filtration.components();
    stats.births = filtration.births().size();
    watch.lap(stats.seconds_rng);
    write_sorted(find_bars(filtration, std::move(critical), first_end, window, stats, execution), order, barcode,
                 execution);
    stats.peak_bytes = execution.budget.peak();
    return barcode;
}

template <class Real>
Barcode<Real> h1_of_graph(const SparseEntries& graph, Real threshold, const Execution& execution) {
    check_threshold(static_cast<double>(threshold));
    Stopwatch watch;
    SparseEdges<Real> read = read_edges(graph, threshold, execution);
    const Window<Real> window = filtration_window(read.enclosing, threshold);
    double seconds = 0;
    watch.lap(seconds);
    Barcode<Real> barcode = h1_of_edges(std::move(read.edges), graph.n, window, execution);
    barcode.stats.seconds_edges += seconds;
    return barcode;
}

template <class Real>
std::size_t betti1_of_edges(Buffer<RankedEdge<Real>> edges, std::size_t n, const Window<Real>& window,
                            const Execution& execution) {
    SparseFiltration<Real> filtration(std::move(edges), n, window, execution);
    filtration.find_empty(0, filtration.size());
    filtration.find_births([](Real) {});
    return filtration.births().size() - count_zero_bars(filtration, execution);
}

template <class Real>
std::size_t count_bars_of_graph(const SparseEntries& graph, Real threshold, Real min_persistence,
                                const Execution& execution) {
    if (min_persistence > 0) {
        const Barcode<Real> barcode = h1_of_graph(graph, threshold, execution);
        const auto longer = [min_persistence](const Interval<Real>& bar) {
            return bar.death - bar.birth > min_persistence;
        };
        return static_cast<std::size_t>(std::count_if(barcode.intervals.begin(), barcode.intervals.end(), longer));
    }
    check_threshold(static_cast<double>(threshold));
    SparseEdges<Real> read = read_edges(graph, threshold, execution);
    const Window<Real> window = filtration_window(read.enclosing, threshold);
    return betti1_of_edges(std::move(read.edges), graph.n, window, execution);
}

std::size_t h1_of_edges_bytes(std::size_t n, std::size_t n_edges, std::size_t real_size, int n_threads) {
    const std::size_t edge = real_size + 2 * sizeof(Vertex) + sizeof(Legs);
    return n_edges * edge + Adjacency::bytes(n, n_edges) + SparseLunes::bytes(n, n_threads);
}

std::size_t h1_of_graph_bytes(std::size_t n, std::size_t n_entries, std::size_t n_edges, std::size_t real_size,
                              int n_threads) {
    return std::max(read_edges_bytes(n, n_entries, n_edges, real_size),
                    h1_of_edges_bytes(n, n_edges, real_size, n_threads));
}

template Barcode<float> h1_of_graph(const SparseEntries&, float, const Execution&);
template Barcode<double> h1_of_graph(const SparseEntries&, double, const Execution&);
template Barcode<float> h1_of_edges(Buffer<RankedEdge<float>>, std::size_t, const Window<float>&, const Execution&,
                                    std::span<const Vertex>);
template Barcode<double> h1_of_edges(Buffer<RankedEdge<double>>, std::size_t, const Window<double>&, const Execution&,
                                     std::span<const Vertex>);
template std::size_t count_bars_of_graph(const SparseEntries&, float, float, const Execution&);
template std::size_t count_bars_of_graph(const SparseEntries&, double, double, const Execution&);
template std::size_t betti1_of_edges(Buffer<RankedEdge<float>>, std::size_t, const Window<float>&, const Execution&);
template std::size_t betti1_of_edges(Buffer<RankedEdge<double>>, std::size_t, const Window<double>&, const Execution&);

}  // namespace adabet
