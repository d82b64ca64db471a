#include "adabet/rips/classifier.hpp"

#include <algorithm>

namespace adabet {

namespace {

constexpr std::size_t kSmallChunk = 1024;
constexpr std::size_t kChunkOfThread = 8192;
constexpr std::size_t kEdgesPerCheck = 1024;
/// Edges between asking for the words that one will change and changing them.
constexpr std::size_t kAhead = 16;
/// Edges after which threads join in, and words of the rows that make it worth their while.
constexpr std::size_t kEdgesAlone = std::size_t{1} << 14;
constexpr std::size_t kFewestWords = 8;

}  // namespace

template <class Real>
Classifier<Real>::Classifier(std::span<const Vertex> slots, int most_threads, const Execution& execution)
    : most_workers_(static_cast<std::size_t>(std::max(1, most_threads))),
      execution_(execution),
      critical_(execution.budget) {
    workers_.push_back(std::make_unique<Worker>(BitGraph(slots, execution.budget), execution.budget));
    if (graph().words() <= kFewestWords) most_workers_ = 1;
}

template <class Real>
std::size_t Classifier<Real>::chunk() const {
    return workers_.size() == 1 ? kSmallChunk : kChunkOfThread * workers_.size();
}

template <class Real>
void Classifier<Real>::add_workers() {
    while (workers_.size() < most_workers_)
        workers_.push_back(std::make_unique<Worker>(BitGraph(graph()), execution_.budget));
}

template <class Real>
void Classifier<Real>::process(std::span<const RankedEdge<Real>> edges) {
    critical_.clear();
    taken_ += edges.size();
    if (workers_.size() == 1) {
        Worker& only = *workers_.front();
        kernels_.classify_edges(only.graph, only.scratch, edges.data(), edges.size(), critical_);
        if (taken_ >= kEdgesAlone) add_workers();
        return;
    }
    parallel_for(execution_, workers_.size(),
                 [&](std::size_t share, int /*worker*/, const Execution& own) { process_share(edges, share, own); });
    for (const auto& worker : workers_) {
        const std::size_t shift = critical_.vertices.size();
        for (const CriticalEdges::Item& item : worker->critical.items)
            critical_.items.push_back({item.edge, item.first + shift});
        critical_.vertices.insert(critical_.vertices.end(), worker->critical.vertices.begin(),
                                  worker->critical.vertices.end());
    }
}

/// Worker k takes in what comes before the k-th share, looks at that, and takes in the rest.
template <class Real>
void Classifier<Real>::process_share(std::span<const RankedEdge<Real>> edges, std::size_t share, const Execution& own) {
    Worker& mine = *workers_[share];
    const std::size_t begin = edges.size() * share / workers_.size();
    const std::size_t end = edges.size() * (share + 1) / workers_.size();
    const auto take_in = [&](std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < to; ++i) {
            if (i + kAhead < to) mine.graph.prefetch(edges[i + kAhead].a, edges[i + kAhead].b);
            mine.graph.connect(mine.graph.slot(edges[i].a), mine.graph.slot(edges[i].b));
        }
    };
    take_in(0, begin);
    mine.critical.clear();
    for (std::size_t at = begin; at < end; at += kEdgesPerCheck) {
        own.check();
        const std::size_t known = mine.critical.items.size();
        kernels_.classify_edges(mine.graph, mine.scratch, edges.data() + at, std::min(kEdgesPerCheck, end - at),
                                mine.critical);
        for (std::size_t k = known; k < mine.critical.items.size(); ++k) mine.critical.items[k].edge += at;
    }
    take_in(end, edges.size());
}

template class Classifier<float>;
template class Classifier<double>;

}  // namespace adabet
