#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "adabet/execution.hpp"
#include "adabet/rips/kernels.hpp"

namespace adabet {

/// Takes edges in order into bit rows and finds those whose lune, just before, has two components or more. Each thread has
/// a copy of the rows, takes all edges into it, and looks at the lunes of the parts it is handed alone: the same edges come
/// out whatever their number. What has been found is handed on while the other threads look further.
template <class Real>
class Classifier {
public:
    using Edges = std::span<const RankedEdge<Real>>;
    /// Gets the critical ones of a stretch of edges, by their index in it; says whether to go on.
    using Found = std::function<bool(Edges stretch, const CriticalEdges& critical)>;

    /// `most_threads` copies at most; the second one is made once enough edges have come to pay for it.
    Classifier(std::span<const Vertex> slots, int most_threads, const Execution& execution);

    /// Takes `edges` in, and calls `found` for one stretch of them after the other, on the calling thread; graph() holds
    /// the stretch by then. Until it has said no.
    void process(Edges edges, const Found& found);

    /// All edges so far.
    [[nodiscard]] const BitGraph& graph() const { return workers_.front()->graph; }

    [[nodiscard]] static std::size_t bytes(std::size_t n, int n_threads) {
        return static_cast<std::size_t>(n_threads) * (BitGraph::bytes(n) + LuneScratch::bytes(n));
    }

private:
    struct Worker {
        Worker(BitGraph rows, MemoryBudget& budget) : graph(std::move(rows)), scratch(graph, budget) {}

        BitGraph graph;
        LuneScratch scratch;
        std::size_t taken = 0;  ///< edges of the chunk that the graph holds
    };
    struct Part {
        explicit Part(MemoryBudget& budget) : critical(budget) {}

        CriticalEdges critical;
        std::atomic<bool> done{false};
    };

    [[nodiscard]] std::size_t chunk() const;
    void add_workers();
    bool process_on_threads(Edges edges, const Found& found);
    void take_in(Worker& worker, Edges edges, std::size_t end) const;
    void classify(Worker& worker, Edges edges, std::size_t part);
    bool hand_on(Edges edges, std::size_t n_parts, std::size_t most_items, const Found& found);

    std::size_t most_workers_;
    const Execution& execution_;
    const RipsKernels<Real>& kernels_ = rips_kernels<Real>();
    std::vector<std::unique_ptr<Worker>> workers_;
    std::vector<std::unique_ptr<Part>> parts_;
    std::size_t handed_on_ = 0;  ///< parts of the chunk
    bool crowded_ = false;       ///< whether much of the last chunk was critical
    std::size_t taken_ = 0;
    CriticalEdges critical_;
};

}  // namespace adabet
