#include "adabet/persistence/h1.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>

#include "adabet/persistence/births.hpp"
#include "adabet/persistence/columns.hpp"
#include "adabet/persistence/flow.hpp"
#include "adabet/persistence/window.hpp"
#include "adabet/rips/bit_graph.hpp"
#include "adabet/rips/central_order.hpp"
#include "adabet/rips/edge_stream.hpp"
#include "adabet/rips/kernels.hpp"
#include "adabet/rips/relative_neighbourhood.hpp"

namespace adabet {

namespace {

/// The first batch of edges, in multiples of n: most sparse clouds need no second one.
constexpr std::size_t kFirstBatchFactor = 8;
constexpr std::size_t kSmallestBatch = 4096;
constexpr std::size_t kLargeBatch = std::size_t{1} << 18;
/// Edges between two looks at whether all classes are dead.
constexpr std::size_t kChunk = 1024;
constexpr std::size_t kCellsPerCheck = 64;

/// Batches hold a sixteenth of the matrix at most: few passes over it, and memory that follows from n.
std::size_t largest_batch(std::size_t n) { return std::min(std::max(kLargeBatch, n * n / 16), n * n / 2); }

class Stopwatch {
public:
    /// Adds the time since the last lap to `seconds`.
    void lap(double& seconds) {
        const auto now = std::chrono::steady_clock::now();
        seconds += std::chrono::duration<double>(now - last_).count();
        last_ = now;
    }

private:
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

/// Kills classes edge by edge until none is left.
template <class Real>
class Deaths {
public:
    Deaths(const DistanceMatrix<Real>& distances, const Births<Real>& births, Barcode<Real>& barcode,
           const Execution& execution)
        : births_(births),
          barcode_(barcode),
          execution_(execution),
          kernels_(rips_kernels<Real>()),
          graph_(central_order(distances, execution), execution.budget),
          scratch_(graph_.words(), execution.budget),
          critical_(execution.budget),
          flow_(distances, graph_, births, execution.budget),
          columns_(births.size(), kernels_.add_words, execution.budget) {}

    [[nodiscard]] bool all_dead() const { return columns_.deaths() == births_.size(); }
    [[nodiscard]] bool is_dead(std::size_t birth) const { return columns_.is_dead(static_cast<BirthIndex>(birth)); }

    void process(const Buffer<RankedEdge<Real>>& edges) {
        Stopwatch watch;
        for (std::size_t begin = 0; begin < edges.size() && !all_dead(); begin += kChunk) {
            execution_.check();
            const std::size_t count = std::min(kChunk, edges.size() - begin);
            critical_.clear();
            kernels_.classify_edges(graph_, scratch_, edges.data() + begin, count, critical_);
            barcode_.stats.edges += count;
            watch.lap(barcode_.stats.seconds_lunes);
            for (std::size_t i = 0; i < critical_.items.size() && !all_dead(); ++i) {
                if (i % kCellsPerCheck == 0) execution_.check();
                kill(edges[begin + critical_.items[i].edge], i);
            }
            watch.lap(barcode_.stats.seconds_columns);
        }
    }

private:
    /// One 2-cell for each component of the lune but the first: its boundary is the cycle a - v0 - b - vi - a.
    void kill(const RankedEdge<Real>& edge, std::size_t item) {
        const std::size_t first = critical_.items[item].first;
        const Vertex v0 = critical_.vertices[first];
        for (std::size_t i = first + 1; i < critical_.end_of(item); ++i) {
            const Vertex vi = critical_.vertices[i];
            for (const Vertex end : {edge.a, edge.b}) {
                flow_.add(end, v0);
                flow_.add(end, vi);
            }
            flow_.run([this](BirthIndex birth) { columns_.add(birth); });
            ++barcode_.stats.critical_cells;
            const BirthIndex dead = columns_.reduce();
            if (dead < 0) continue;
            const RankedEdge<Real>& birth = births_.edges()[static_cast<std::size_t>(dead)];
            if (edge.key > birth.key) add_bar(barcode_, birth, edge.length(), edge.edge());
        }
    }

    const Births<Real>& births_;
    Barcode<Real>& barcode_;
    const Execution& execution_;
    const RipsKernels<Real>& kernels_;
    BitGraph graph_;
    LuneScratch scratch_;
    CriticalEdges critical_;
    Flow<Real> flow_;
    Columns columns_;
};

template <class Real>
void sort_bars(Barcode<Real>& barcode) {
    const std::size_t count = barcode.intervals.size();
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto key = [&](std::size_t i) {
        const Edge birth = barcode.birth_edges[i];
        return std::tuple(barcode.intervals[i].birth, barcode.intervals[i].death, birth.b, birth.a);
    };
    std::sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return key(i) < key(j); });
    Barcode<Real> sorted;
    for (const std::size_t i : order) {
        sorted.intervals.push_back(barcode.intervals[i]);
        sorted.birth_edges.push_back(barcode.birth_edges[i]);
        sorted.death_edges.push_back(barcode.death_edges[i]);
    }
    barcode.intervals = std::move(sorted.intervals);
    barcode.birth_edges = std::move(sorted.birth_edges);
    barcode.death_edges = std::move(sorted.death_edges);
}

}  // namespace

template <class Real>
Barcode<Real> h1(const DistanceMatrix<Real>& distances, Real threshold, const Execution& execution) {
    Barcode<Real> barcode;
    Stopwatch watch;
    const Window<Real> window = filtration_window(distances, threshold, execution);
    const auto graph = relative_neighbourhood_graph(distances, window.longest, execution);
    const Births<Real> births(graph, distances.n, window.longest_birth, execution.budget);
    barcode.enclosing_radius = window.enclosing.radius;
    barcode.components = births.components();
    for (const Real length : births.merges())
        if (length > 0) barcode.h0_deaths.push_back(length);
    barcode.stats.births = births.size();
    watch.lap(barcode.stats.seconds_rng);

    if (births.size() > 0) {
        Deaths<Real> deaths(distances, births, barcode, execution);
        EdgeStream<Real> stream(distances, window.longest_birth,
                                std::max(kSmallestBatch, kFirstBatchFactor * distances.n), largest_batch(distances.n),
                                execution);
        watch.lap(barcode.stats.seconds_edges);
        while (!deaths.all_dead() && stream.next()) {
            watch.lap(barcode.stats.seconds_edges);
            deaths.process(stream.edges());
            watch = Stopwatch{};
        }
        // At the enclosing radius everything dies, whatever edge of that length does it; without one, what is left stays.
        for (std::size_t i = 0; i < births.size(); ++i) {
            if (deaths.is_dead(i)) continue;
            if (window.is_cone)
                add_bar(barcode, births.edges()[i], window.enclosing.radius, window.enclosing.edge);
            else
                add_bar(barcode, births.edges()[i], infinity<Real>, Edge{});
        }
    }
    sort_bars(barcode);
    barcode.stats.peak_bytes = execution.budget.peak();
    return barcode;
}

std::size_t h1_fixed_bytes(std::size_t n, std::size_t real_size) {
    const std::size_t batch = std::max(largest_batch(n), n);
    const std::size_t stream =
        real_size == sizeof(float) ? EdgeStream<float>::bytes(batch) : EdgeStream<double>::bytes(batch);
    return BitGraph::bytes(n) + stream;
}

template Barcode<float> h1(const DistanceMatrix<float>&, float, const Execution&);
template Barcode<double> h1(const DistanceMatrix<double>&, double, const Execution&);

}  // namespace adabet
