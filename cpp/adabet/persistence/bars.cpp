#include "adabet/persistence/bars.hpp"

#include <algorithm>

#include "adabet/persistence/bit_filtration.hpp"
#include "adabet/persistence/stopwatch.hpp"
#include "adabet/rips/bit_graph.hpp"
#include "adabet/rips/central_order.hpp"
#include "adabet/rips/edge_stream.hpp"
#include "adabet/rips/kernels.hpp"

namespace adabet {

namespace {

/// The first batch of edges, in multiples of n: most sparse clouds need no second one.
constexpr std::size_t kFirstBatchFactor = 8;
constexpr std::size_t kSmallestBatch = 4096;
constexpr std::size_t kLargeBatch = std::size_t{1} << 18;
/// Edges between two looks at whether all classes are dead.
constexpr std::size_t kChunk = 1024;

/// Batches hold a sixteenth of the matrix at most: few passes over it, and memory that follows from n.
std::size_t largest_batch(std::size_t n) { return std::min(std::max(kLargeBatch, n * n / 16), n * n / 2); }

/// Takes sorted edges into the graph, finds the critical ones among them, and hands these to the reduction.
template <class Real>
class Deaths {
public:
    Deaths(const DistanceMatrix<Real>& distances, const Births<Real>& births, Stats& stats, const Execution& execution)
        : stats_(stats),
          execution_(execution),
          kernels_(rips_kernels<Real>()),
          graph_(central_order(distances, execution), execution.budget),
          scratch_(graph_, execution.budget),
          critical_(execution.budget),
          filtration_(distances, graph_),
          reduction_(filtration_, births, stats, execution) {}

    [[nodiscard]] Reduction<Real>& reduction() { return reduction_; }

    void process(const Buffer<RankedEdge<Real>>& edges) {
        Stopwatch watch;
        for (std::size_t begin = 0; begin < edges.size() && !reduction_.all_dead(); begin += kChunk) {
            execution_.check();
            const std::size_t count = std::min(kChunk, edges.size() - begin);
            critical_.clear();
            kernels_.classify_edges(graph_, scratch_, edges.data() + begin, count, critical_);
            stats_.edges += count;
            watch.lap(stats_.seconds_lunes);
            for (std::size_t i = 0; i < critical_.items.size() && !reduction_.all_dead(); ++i)
                reduction_.kill(edges[begin + critical_.items[i].edge], critical_.representatives(i));
            watch.lap(stats_.seconds_columns);
        }
    }

private:
    Stats& stats_;
    const Execution& execution_;
    const RipsKernels<Real>& kernels_;
    BitGraph graph_;
    LuneScratch scratch_;
    CriticalEdges critical_;
    BitFiltration<Real> filtration_;
    Reduction<Real> reduction_;
};

}  // namespace

template <class Real>
Buffer<Bar<Real>> find_bars(const DistanceMatrix<Real>& distances, const Births<Real>& births,
                            const Window<Real>& window, Stats& stats, const Execution& execution) {
    if (births.size() == 0) return make_buffer<Bar<Real>>(execution.budget);
    Stopwatch watch;
    Deaths<Real> deaths(distances, births, stats, execution);
    EdgeStream<Real> stream(distances, window.longest_birth, std::max(kSmallestBatch, kFirstBatchFactor * distances.n),
                            largest_batch(distances.n), execution);
    while (!deaths.reduction().all_dead() && stream.next()) {
        watch.lap(stats.seconds_edges);
        deaths.process(stream.edges());
        watch = Stopwatch{};
    }
    // At the enclosing radius everything dies, whatever edge of that length does it; without one, what is left stays.
    if (window.is_cone)
        deaths.reduction().end_all(window.enclosing.radius, window.enclosing.edge);
    else
        deaths.reduction().end_all(infinity<Real>, Edge{});
    return deaths.reduction().take_bars();
}

std::size_t find_bars_bytes(std::size_t n, std::size_t real_size) {
    const std::size_t batch = std::max(largest_batch(n), n);
    const std::size_t stream =
        real_size == sizeof(float) ? EdgeStream<float>::bytes(batch) : EdgeStream<double>::bytes(batch);
    return BitGraph::bytes(n) + stream;
}

template Buffer<Bar<float>> find_bars(const DistanceMatrix<float>&, const Births<float>&, const Window<float>&, Stats&,
                                      const Execution&);
template Buffer<Bar<double>> find_bars(const DistanceMatrix<double>&, const Births<double>&, const Window<double>&,
                                       Stats&, const Execution&);

}  // namespace adabet
