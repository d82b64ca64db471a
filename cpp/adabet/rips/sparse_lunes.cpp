#include "adabet/rips/sparse_lunes.hpp"

#include <algorithm>
#include <numeric>

namespace adabet {

namespace {

using Neighbour = Adjacency::Neighbour;

/// A hub's list is long enough for a table of the edges among hubs to pay.
constexpr std::size_t kHubDegree = 1024;
constexpr std::size_t kMostHubs = 1024;
constexpr std::uint16_t kNoHub = std::numeric_limits<std::uint16_t>::max();
/// From here on a list is not walked without asking what the other way costs.
constexpr std::size_t kLongList = 256;
/// Steps along lists between two checkpoints.
constexpr std::size_t kStepsPerCheck = std::size_t{1} << 20;
constexpr std::size_t kSmallestTask = std::size_t{1} << 13;
constexpr std::size_t kTasksPerThread = 64;
constexpr int kMostThreads = std::numeric_limits<std::uint16_t>::max();
/// Lists are asked for this many edges ahead.
constexpr std::size_t kAhead = 6;

std::size_t index(Vertex v) { return static_cast<std::size_t>(v); }

/// A set of vertices as bits.
class VertexSet {
public:
    VertexSet(std::size_t n, MemoryBudget& budget) : words_(make_buffer<std::uint64_t>(budget, n / 64 + 1, 0)) {}

    [[nodiscard]] bool has(Vertex v) const { return (words_[index(v) / 64] >> (index(v) % 64) & 1) != 0; }
    void insert(Vertex v) { words_[index(v) / 64] |= std::uint64_t{1} << (index(v) % 64); }
    /// Takes a vertex out: 1 if it was in, else 0.
    std::size_t take(Vertex v) {
        std::uint64_t& word = words_[index(v) / 64];
        const std::size_t was_in = word >> (index(v) % 64) & 1;
        word &= ~(std::uint64_t{1} << (index(v) % 64));
        return was_in;
    }

private:
    Buffer<std::uint64_t> words_;
};

}  // namespace

/// One thread's share: the scratch memory, and what it finds.
class SparseLunes::Worker {
public:
    Worker(const SparseLunes& lunes, MemoryBudget& budget)
        : lunes_(lunes),
          graph_(lunes.graph_),
          to_marked_(make_buffer<EdgeRank>(budget, graph_.size(), no_rank)),
          unvisited_(graph_.size(), budget),
          owned_(make_buffer<Neighbour>(budget)),
          lune_(make_buffer<Member>(budget)),
          frontier_(make_buffer<Vertex>(budget)),
          components(make_buffer<Legs>(budget)),
          items(make_buffer<CriticalLunes::Item>(budget)) {}

    /// The edges of [begin, end) that belong to vertex a: those to neighbours of lower degree.
    template <bool only_empty>
    void run(Vertex a, EdgeRank begin, EdgeRank end, const Buffer<std::uint64_t>* wanted, Legs* apexes,
             const Execution& own) {
        const auto all = graph_.of(a);
        find_owned(a, all, begin, end, wanted);
        if (owned_.empty()) return;
        const EdgeRank last = owned_.back().rank;
        for (const Neighbour& near : all) {
            if (near.rank >= last) break;
            to_marked_[index(near.vertex)] = near.rank;
        }
        steps_ += all.size();
        for (std::size_t i = 0; i < owned_.size(); ++i) {
            if (i + kAhead < owned_.size()) __builtin_prefetch(graph_.of(owned_[i + kAhead].vertex).data());
            const auto [b, rank] = owned_[i];
            if constexpr (only_empty)
                apexes[rank] = any_legs(b, rank);
            else if (const Legs legs = classify(b, rank); legs.to_a != no_rank)
                apexes[rank] = legs;  // what stands for an empty lune stays: it may be the number of a birth by now
            if (steps_ < kStepsPerCheck) continue;
            own.check();
            steps_ = 0;
        }
        for (const Neighbour& near : all) {
            if (near.rank >= last) break;
            to_marked_[index(near.vertex)] = no_rank;
        }
    }

private:
    struct Member {
        Vertex vertex;
        Legs legs;
    };

    void find_owned(Vertex a, std::span<const Neighbour> all, EdgeRank begin, EdgeRank end,
                    const Buffer<std::uint64_t>* wanted) {
        owned_.clear();
        const std::size_t degree = all.size();
        auto near = all.begin();
        if (begin > 0)
            near = std::partition_point(near, all.end(), [begin](const Neighbour& x) { return x.rank < begin; });
        for (; near != all.end() && near->rank < end; ++near) {
            if (wanted != nullptr && ((*wanted)[near->rank / 64] >> (near->rank % 64) & 1) == 0) continue;
            const std::size_t other = graph_.degree(near->vertex);
            if (other < degree || (other == degree && a < near->vertex)) owned_.push_back(*near);
        }
    }

    [[nodiscard]] Legs any_legs(Vertex b, EdgeRank rank) {
        for (const Neighbour& near : graph_.of(b)) {
            if (near.rank >= rank) break;
            ++steps_;
            const EdgeRank other = to_marked_[index(near.vertex)];
            if (other < rank) return {other, near.rank};
        }
        return {};
    }

    /// The legs of the nearest vertex of the lune of {a, b}; keeps one vertex of each component if there are several.
    Legs classify(Vertex b, EdgeRank rank) {
        const auto list = graph_.of(b);
        if (lune_.size() < list.size()) lune_.resize(list.size());
        std::size_t size = 0;
        std::size_t apex = 0;
        EdgeRank reach = rank;
        for (const Neighbour& near : list) {
            if (near.rank >= rank) break;
            ++steps_;
            // No branch: whether a neighbour of b is one of a too cannot be foreseen.
            const EdgeRank other = to_marked_[index(near.vertex)];
            const EdgeRank longer = std::max(other, near.rank);
            lune_[size] = {near.vertex, {other, near.rank}};
            apex = longer < reach ? size : apex;
            reach = std::min(reach, longer);
            size += other < rank ? 1 : 0;
        }
        if (size == 0) return {};
        if (size > 1) find_components(rank, size, apex);
        return lune_[apex].legs;
    }

    /// From the nearest vertex on, since that one most often is joined to all others.
    void find_components(EdgeRank rank, std::size_t size, std::size_t apex) {
        for (std::size_t i = 0; i < size; ++i) unvisited_.insert(lune_[i].vertex);
        std::size_t left = size;
        const std::size_t first = components.size();
        std::size_t next = 0;
        for (std::size_t start = apex; left > 0; start = next++) {
            if (!unvisited_.has(lune_[start].vertex)) continue;
            left = visit_component(rank, size, lune_[start].vertex, left);
            if (left > 0 || components.size() > first) components.push_back(lune_[start].legs);
        }
        if (components.size() == first) return;
        items.push_back(
            {rank, static_cast<std::uint32_t>(components.size() - first), 0, first & CriticalLunes::most_first});
    }

    /// Takes a vertex and all that it is connected to out of the unvisited ones; how many then are left.
    std::size_t visit_component(EdgeRank rank, std::size_t size, Vertex start, std::size_t left) {
        left -= unvisited_.take(start);
        if (frontier_.size() < size) frontier_.resize(size);
        frontier_[0] = start;
        std::size_t n_frontier = 1;
        while (left > 0 && n_frontier > 0) {
            const Vertex v = frontier_[--n_frontier];
            const auto list = graph_.of(v);
            if (list.size() > kLongList && is_dearer(list.size(), v, size)) {
                for (std::size_t i = 0; i < size; ++i) {
                    const Vertex u = lune_[i].vertex;
                    if (!unvisited_.has(u) || !joined_before(rank, u, v)) continue;
                    left -= unvisited_.take(u);
                    frontier_[n_frontier++] = u;
                }
                continue;
            }
            for (const Neighbour& near : list) {
                if (near.rank >= rank || left == 0) break;
                ++steps_;
                const std::size_t is_new = unvisited_.take(near.vertex);
                frontier_[n_frontier] = near.vertex;
                n_frontier += is_new;
                left -= is_new;
            }
        }
        return left;
    }

    /// Whether the list of v is longer than those of the unvisited vertices, each asked for v, together.
    [[nodiscard]] bool is_dearer(std::size_t steps, Vertex v, std::size_t size) {
        std::size_t others = 0;
        for (std::size_t i = 0; i < size && others < steps; ++i) {
            const Vertex u = lune_[i].vertex;
            others += unvisited_.has(u) && !lunes_.are_hubs(u, v) ? graph_.degree(u) : 1;
        }
        steps_ += size;
        return others < steps;
    }
    [[nodiscard]] bool joined_before(EdgeRank rank, Vertex u, Vertex v) {
        if (lunes_.are_hubs(u, v)) return lunes_.hub_edge(u, v) < rank;
        if (graph_.degree(u) > graph_.degree(v)) std::swap(u, v);
        for (const Neighbour& near : graph_.of(u)) {
            if (near.rank >= rank) return false;
            ++steps_;
            if (near.vertex == v) return true;
        }
        return false;
    }

    const SparseLunes& lunes_;
    const Adjacency& graph_;
    Buffer<EdgeRank> to_marked_;  ///< of each vertex the edge to `a`, where there is one
    VertexSet unvisited_;
    Buffer<Neighbour> owned_;
    Buffer<Member> lune_;
    Buffer<Vertex> frontier_;
    std::size_t steps_ = 0;

public:
    Buffer<Legs> components;
    Buffer<CriticalLunes::Item> items;
};

SparseLunes::SparseLunes(const Adjacency& graph, const Execution& execution)
    : graph_(graph),
      execution_(execution),
      hub_of_(make_buffer<std::uint16_t>(execution.budget)),
      hub_edges_(make_buffer<EdgeRank>(execution.budget)) {
    auto hubs = make_buffer<Vertex>(execution.budget);
    for (Vertex v = 0; index(v) < graph.size(); ++v)
        if (graph.degree(v) >= kHubDegree) hubs.push_back(v);
    if (hubs.empty()) return;
    const auto higher = [&](Vertex u, Vertex v) {
        return graph.degree(u) > graph.degree(v) || (graph.degree(u) == graph.degree(v) && u < v);
    };
    std::sort(hubs.begin(), hubs.end(), higher);
    hubs.resize(std::min(hubs.size(), kMostHubs));
    n_hubs_ = hubs.size();
    hub_of_.resize(graph.size(), kNoHub);
    for (std::size_t i = 0; i < n_hubs_; ++i) hub_of_[index(hubs[i])] = static_cast<std::uint16_t>(i);
    hub_edges_.resize(n_hubs_ * n_hubs_, no_rank);
    for (std::size_t i = 0; i < n_hubs_; ++i) {
        execution.check();
        for (const Neighbour& near : graph.of(hubs[i]))
            if (hub_of_[index(near.vertex)] != kNoHub)
                hub_edges_[i * n_hubs_ + hub_of_[index(near.vertex)]] = near.rank;
    }
}

bool SparseLunes::are_hubs(Vertex u, Vertex v) const {
    return n_hubs_ > 0 && hub_of_[index(u)] != kNoHub && hub_of_[index(v)] != kNoHub;
}

EdgeRank SparseLunes::hub_edge(Vertex u, Vertex v) const {
    return hub_edges_[hub_of_[index(u)] * n_hubs_ + hub_of_[index(v)]];
}

/// Calls body(worker, vertex, own) for every vertex, in blocks whose lists are about equally long together.
template <class Body>
std::vector<SparseLunes::Worker> SparseLunes::for_each_vertex(const Body& body) const {
    const std::size_t n = graph_.size();
    const std::size_t entries =
        n == 0 ? 0 : graph_.start(static_cast<Vertex>(n - 1)) + graph_.degree(static_cast<Vertex>(n - 1));
    const auto n_threads = static_cast<std::size_t>(std::clamp(execution_.n_threads, 1, kMostThreads));
    const std::size_t share = std::max(kSmallestTask, entries / (n_threads * kTasksPerThread) + 1);
    const std::size_t n_tasks = entries / share + 1;
    std::vector<Worker> workers;
    workers.reserve(std::min(n_threads, n_tasks));
    for (std::size_t t = 0; t < std::min(n_threads, n_tasks); ++t) workers.emplace_back(*this, execution_.budget);
    const auto first_at = [&](std::size_t entry) {
        Vertex low = 0;
        auto high = static_cast<Vertex>(n);
        while (low < high) {
            const Vertex middle = low + (high - low) / 2;
            if (graph_.start(middle) < entry)
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    };
    parallel_for(execution_, n_tasks, [&](std::size_t task, int worker, const Execution& own) {
        own.check();
        const Vertex last = task + 1 == n_tasks ? static_cast<Vertex>(n) : first_at((task + 1) * share);
        for (Vertex a = first_at(task * share); a < last; ++a) body(workers[static_cast<std::size_t>(worker)], a, own);
    });
    return workers;
}

CriticalLunes SparseLunes::classify(EdgeRank begin, EdgeRank end, const Buffer<std::uint64_t>* wanted,
                                    Buffer<Legs>& apexes) const {
    std::vector<Worker> workers = for_each_vertex([&](Worker& worker, Vertex a, const Execution& own) {
        worker.run<false>(a, begin, end, wanted, apexes.data(), own);
    });
    CriticalLunes found{{}, make_buffer<CriticalLunes::Item>(execution_.budget)};
    std::size_t count = 0;
    for (const Worker& worker : workers) count += worker.items.size();
    found.items.reserve(count);
    for (Worker& worker : workers) {
        for (CriticalLunes::Item item : worker.items) {
            item.part = static_cast<std::uint16_t>(found.parts.size());
            found.items.push_back(item);
        }
        worker.items = make_buffer<CriticalLunes::Item>(execution_.budget);
        found.parts.push_back(std::move(worker.components));
    }
    workers.clear();
    std::size_t compared = 0;
    std::sort(found.items.begin(), found.items.end(), [&](const CriticalLunes::Item& x, const CriticalLunes::Item& y) {
        if (++compared % kStepsPerCheck == 0) execution_.check();
        return x.edge < y.edge;
    });
    return found;
}

void SparseLunes::find_empty(EdgeRank begin, EdgeRank end, Buffer<Legs>& apexes) const {
    for_each_vertex([&](Worker& worker, Vertex a, const Execution& own) {
        worker.run<true>(a, begin, end, nullptr, apexes.data(), own);
    });
}

std::size_t SparseLunes::bytes(std::size_t n, int n_threads) {
    return n * static_cast<std::size_t>(std::max(1, n_threads)) * (sizeof(EdgeRank) + sizeof(std::uint64_t) / 64);
}

}  // namespace adabet
