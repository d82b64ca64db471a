#pragma once

#include <memory>
#include <span>
#include <vector>

#include "adabet/execution.hpp"
#include "adabet/rips/kernels.hpp"

namespace adabet {

/// Takes edges in order into bit rows and finds those whose lune, just before, has two components or more. Each thread has
/// a copy of the rows, takes all edges into it, and looks at the lunes of its share alone: the same edges come out whatever
/// their number.
template <class Real>
class Classifier {
public:
    /// `most_threads` copies at most; the second one is made once enough edges have come to pay for it.
    Classifier(std::span<const Vertex> slots, int most_threads, const Execution& execution);

    /// How many edges to hand over at once.
    [[nodiscard]] std::size_t chunk() const;

    /// Takes `edges` in; the critical ones are in critical(), by their index in `edges`.
    void process(std::span<const RankedEdge<Real>> edges);

    [[nodiscard]] const CriticalEdges& critical() const { return critical_; }
    /// All edges so far.
    [[nodiscard]] const BitGraph& graph() const { return workers_.front()->graph; }

    [[nodiscard]] static std::size_t bytes(std::size_t n, int n_threads) {
        return static_cast<std::size_t>(n_threads) * (BitGraph::bytes(n) + LuneScratch::bytes(n));
    }

private:
    struct Worker {
        Worker(BitGraph rows, MemoryBudget& budget)
            : graph(std::move(rows)), scratch(graph, budget), critical(budget) {}

        BitGraph graph;
        LuneScratch scratch;
        CriticalEdges critical;
    };

    void add_workers();
    void process_share(std::span<const RankedEdge<Real>> edges, std::size_t share, const Execution& own);

    std::size_t most_workers_;
    const Execution& execution_;
    const RipsKernels<Real>& kernels_ = rips_kernels<Real>();
    std::vector<std::unique_ptr<Worker>> workers_;
    std::size_t taken_ = 0;
    CriticalEdges critical_;
};

}  // namespace adabet
