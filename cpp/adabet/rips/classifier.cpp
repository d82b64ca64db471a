#include "adabet/rips/classifier.hpp"

#include <algorithm>

namespace adabet {

namespace {

constexpr std::size_t kSmallChunk = 1024;
/// Threads start anew with each chunk, so it is large.
constexpr std::size_t kChunkOfThread = std::size_t{1} << 15;
constexpr std::size_t kLargestChunk = std::size_t{1} << 18;
/// Where much is critical, what follows has work for all threads, and gets a chunk at a time; what comes after the last
/// death is looked at in vain then, so that a chunk is no more than a part of what has come before.
constexpr std::size_t kCrowded = 32;
constexpr std::size_t kCrowdedChunkOfThread = 8192;
constexpr std::size_t kCrowdedShare = 16;
/// Handed out one at a time: threads that are slower, or have other things to do, take fewer.
constexpr std::size_t kPart = 256;
/// Critical edges handed on at once while other threads are at work: too few for threads of their own.
constexpr std::size_t kFewItems = 512;
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
    if (workers_.size() == 1) return kSmallChunk;
    const std::size_t most = std::min(kLargestChunk, kChunkOfThread * workers_.size());
    if (!crowded_) return most;
    return std::clamp(taken_ / kCrowdedShare, std::min(most, kCrowdedChunkOfThread * workers_.size()), most);
}

template <class Real>
void Classifier<Real>::add_workers() {
    while (workers_.size() < most_workers_)
        workers_.push_back(std::make_unique<Worker>(BitGraph(graph()), execution_.budget));
}

template <class Real>
void Classifier<Real>::process(Edges edges, const Found& found) {
    while (!edges.empty()) {
        const Edges now = edges.first(std::min(chunk(), edges.size()));
        edges = edges.subspan(now.size());
        taken_ += now.size();
        if (workers_.size() > 1) {
            if (!process_on_threads(now, found)) return;
            continue;
        }
        Worker& only = *workers_.front();
        critical_.clear();
        kernels_.classify_edges(only.graph, only.scratch, now.data(), now.size(), critical_);
        crowded_ = critical_.items.size() * kCrowded > now.size();
        if (!found(now, critical_)) return;
        if (taken_ >= kEdgesAlone) add_workers();
    }
}

template <class Real>
bool Classifier<Real>::process_on_threads(Edges edges, const Found& found) {
    const std::size_t n_parts = (edges.size() + kPart - 1) / kPart;
    while (parts_.size() < n_parts) parts_.push_back(std::make_unique<Part>(execution_.budget));
    for (std::size_t k = 0; k < n_parts; ++k) parts_[k]->done.store(false, std::memory_order_relaxed);
    for (const auto& worker : workers_) worker->taken = 0;
    handed_on_ = 0;
    std::atomic<std::size_t> next_part{0};
    std::atomic<bool> enough{false};
    parallel_for(execution_, workers_.size(), [&](std::size_t /*task*/, int thread, const Execution& own) {
        Worker& mine = *workers_[static_cast<std::size_t>(thread)];
        while (!enough.load(std::memory_order_relaxed)) {
            own.check();
            const std::size_t part = next_part.fetch_add(1, std::memory_order_relaxed);
            if (part >= n_parts) return take_in(mine, edges, edges.size());
            classify(mine, edges, part);
            if (thread == 0 && !crowded_ && !hand_on(edges, n_parts, kFewItems, found)) enough.store(true);
        }
    });
    if (enough) return false;
    for (const auto& worker : workers_) take_in(*worker, edges, edges.size());
    std::size_t n_items = 0;
    for (std::size_t k = 0; k < n_parts; ++k) n_items += parts_[k]->critical.items.size();
    crowded_ = n_items * kCrowded > edges.size();
    return hand_on(edges, n_parts, edges.size(), found);
}

template <class Real>
void Classifier<Real>::take_in(Worker& worker, Edges edges, std::size_t end) const {
    BitGraph& graph = worker.graph;
    for (std::size_t& i = worker.taken; i < end; ++i) {
        const RankedEdge<Real>& later = edges[std::min(i + kAhead, edges.size() - 1)];
        graph.prefetch(graph.slot(later.a), graph.slot(later.b));
        graph.connect(graph.slot(edges[i].a), graph.slot(edges[i].b));
    }
}

template <class Real>
void Classifier<Real>::classify(Worker& worker, Edges edges, std::size_t part) {
    take_in(worker, edges, part * kPart);
    Part& out = *parts_[part];
    out.critical.clear();
    const std::size_t count = std::min(kPart, edges.size() - worker.taken);
    kernels_.classify_edges(worker.graph, worker.scratch, edges.data() + worker.taken, count, out.critical);
    worker.taken += count;
    out.done.store(true, std::memory_order_release);
}

/// The parts that are done, up to the first that is not, or to so many critical edges. On the calling thread, whose graph
/// is that of the first worker.
template <class Real>
bool Classifier<Real>::hand_on(Edges edges, std::size_t n_parts, std::size_t most_items, const Found& found) {
    const std::size_t first = handed_on_;
    critical_.clear();
    while (handed_on_ < n_parts && critical_.items.size() < most_items &&
           parts_[handed_on_]->done.load(std::memory_order_acquire)) {
        const CriticalEdges& part = parts_[handed_on_]->critical;
        const std::size_t shift = critical_.vertices.size();
        for (const CriticalEdges::Item& item : part.items)
            critical_.items.push_back({(handed_on_ - first) * kPart + item.edge, item.first + shift});
        critical_.vertices.insert(critical_.vertices.end(), part.vertices.begin(), part.vertices.end());
        ++handed_on_;
    }
    if (handed_on_ == first) return true;
    const std::size_t end = std::min(handed_on_ * kPart, edges.size());
    take_in(*workers_.front(), edges, end);
    return found(edges.subspan(first * kPart, end - first * kPart), critical_);
}

template class Classifier<float>;
template class Classifier<double>;

}  // namespace adabet
