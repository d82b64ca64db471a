#include "adabet/persistence/reduction.hpp"

#include "adabet/rips/kernels.hpp"

namespace adabet {

template <class Real>
Reduction<Real>::Reduction(const Filtration<Real>& filtration, const Births<Real>& births, Stats& stats,
                           const Execution& execution)
    : births_(births),
      stats_(stats),
      execution_(execution),
      flow_(filtration, births, execution.budget),
      columns_(births.size(), rips_kernels<Real>().add_words, execution.budget),
      bars_(make_buffer<Bar<Real>>(execution.budget)) {}

template <class Real>
void Reduction<Real>::kill(const RankedEdge<Real>& edge, std::span<const Vertex> representatives) {
    const Vertex v0 = representatives.front();
    for (const Vertex vi : representatives.subspan(1)) {
        if (stats_.critical_cells % kCellsPerCheck == 0) execution_.check();
        for (const Vertex end : {edge.a, edge.b}) {
            flow_.add(end, v0);
            flow_.add(end, vi);
        }
        flow_.run([this](BirthIndex birth) { columns_.add(birth); });
        ++stats_.critical_cells;
        const BirthIndex dead = columns_.reduce();
        if (dead < 0) continue;
        const RankedEdge<Real>& birth = births_.edges()[static_cast<std::size_t>(dead)];
        if (edge.key > birth.key) bars_.push_back({birth, edge.length(), edge.edge()});
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
