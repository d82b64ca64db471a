#include "adabet/persistence/reduction.hpp"

#include "adabet/rips/kernels.hpp"

namespace adabet {

namespace {

/// Below this many critical edges at once, threads cost more than they bring: each finds anew the steps of flows that the
/// others have found, and where cells are few, their flows are long and have most steps in common.
constexpr std::size_t kFewestCellsOnThreads = 1024;
constexpr std::size_t kSharesOfThread = 4;

}  // namespace

template <class Real>
Reduction<Real>::Reduction(const Filtration<Real>& filtration, const Births<Real>& births, Stats& stats,
                           const Execution& execution)
    : births_(births),
      stats_(stats),
      execution_(execution),
      columns_(births.size(), rips_kernels<Real>().add_words, execution.budget),
      bars_(make_buffer<Bar<Real>>(execution.budget)) {
    add_helper(filtration);
}

template <class Real>
void Reduction<Real>::add_helper(const Filtration<Real>& filtration) {
    flows_.push_back(std::make_unique<Flow<Real>>(filtration, births_, execution_.budget));
}

template <class Real>
template <class Keep>
void Reduction<Real>::flow_boundary(Flow<Real>& flow, const RankedEdge<Real>& edge, Vertex v0, Vertex vi, Keep&& keep) {
    for (const Vertex end : {edge.a, edge.b}) {
        flow.add(end, v0);
        flow.add(end, vi);
    }
    flow.run(keep);
}

template <class Real>
void Reduction<Real>::end_column(const RankedEdge<Real>& edge) {
    ++stats_.critical_cells;
    const BirthIndex dead = columns_.reduce();
    if (dead < 0) return;
    const RankedEdge<Real>& birth = births_.edges()[static_cast<std::size_t>(dead)];
    if (edge.key > birth.key) bars_.push_back({birth, edge.length(), edge.edge()});
}

template <class Real>
void Reduction<Real>::kill(const RankedEdge<Real>& edge, std::span<const Vertex> representatives) {
    const Vertex v0 = representatives.front();
    for (const Vertex vi : representatives.subspan(1)) {
        if (stats_.critical_cells % kCellsPerCheck == 0) execution_.check();
        flow_boundary(*flows_.front(), edge, v0, vi, [this](BirthIndex birth) { columns_.add(birth); });
        end_column(edge);
    }
}

template <class Real>
void Reduction<Real>::kill_all(std::span<const RankedEdge<Real>> edges, const CriticalEdges& critical) {
    if (flows_.size() > 1 && critical.items.size() >= kFewestCellsOnThreads) {
        kill_on_threads(edges, critical);
        return;
    }
    for (std::size_t i = 0; i < critical.items.size() && !all_dead(); ++i)
        kill(edges[critical.items[i].edge], critical.representatives(i));
}

/// Flows do not depend on one another; columns are reduced in the order of the edges.
template <class Real>
void Reduction<Real>::kill_on_threads(std::span<const RankedEdge<Real>> edges, const CriticalEdges& critical) {
    struct Flowed {
        Buffer<BirthIndex> births;
        Buffer<std::size_t> ends;
    };
    const std::size_t n_items = critical.items.size();
    const std::size_t n_tasks = flows_.size() * kSharesOfThread;
    std::vector<Flowed> flowed;
    flowed.reserve(n_tasks);
    for (std::size_t k = 0; k < n_tasks; ++k)
        flowed.push_back({make_buffer<BirthIndex>(execution_.budget), make_buffer<std::size_t>(execution_.budget)});
    const Execution limited{execution_.budget, static_cast<int>(flows_.size()), execution_.checkpoint};
    parallel_for(limited, n_tasks, [&](std::size_t task, int worker, const Execution& own) {
        Flowed& mine = flowed[task];
        for (std::size_t i = n_items * task / n_tasks; i < n_items * (task + 1) / n_tasks; ++i) {
            const auto representatives = critical.representatives(i);
            for (const Vertex vi : representatives.subspan(1)) {
                if (mine.ends.size() % kCellsPerCheck == 0) own.check();
                flow_boundary(*flows_[static_cast<std::size_t>(worker)], edges[critical.items[i].edge],
                              representatives.front(), vi, [&](BirthIndex birth) { mine.births.push_back(birth); });
                mine.ends.push_back(mine.births.size());
            }
        }
    });
    std::size_t task = 0;
    std::size_t column = 0;
    for (std::size_t i = 0; i < n_items; ++i) {
        for (std::size_t k = 1; k < critical.representatives(i).size(); ++k) {
            if (all_dead()) return;
            if (stats_.critical_cells % kCellsPerCheck == 0) execution_.check();
            while (column == flowed[task].ends.size()) {
                ++task;
                column = 0;
            }
            const Flowed& from = flowed[task];
            for (std::size_t at = column == 0 ? 0 : from.ends[column - 1]; at < from.ends[column]; ++at)
                columns_.add(from.births[at]);
            ++column;
            end_column(edges[critical.items[i].edge]);
        }
    }
}

template <class Real>
void Reduction<Real>::end_all(Real death, Edge death_edge) {
    for (std::size_t i = 0; i < births_.size(); ++i)
        if (!columns_.is_dead(static_cast<BirthIndex>(i))) bars_.push_back({births_.edges()[i], death, death_edge});
}

template class Reduction<float>;
template class Reduction<double>;

}  // namespace adabet
