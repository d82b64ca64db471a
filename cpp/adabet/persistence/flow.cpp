#include "adabet/persistence/flow.hpp"

#include <algorithm>

namespace adabet {

template <class Real>
Flow<Real>::Flow(const Filtration<Real>& filtration, const Births<Real>& births, MemoryBudget& budget)
    : filtration_(filtration), births_(births), steps_(budget), heap_(make_buffer<RankedEdge<Real>>(budget)) {}

template <class Real>
void Flow<Real>::push(const RankedEdge<Real>& edge) {
    steps_.prefetch(edge.edge());
    heap_.push_back(edge);
    std::push_heap(heap_.begin(), heap_.end());
}

template <class Real>
bool Flow<Real>::take_youngest(RankedEdge<Real>& edge) {
    while (!heap_.empty()) {
        edge = heap_.front();
        std::pop_heap(heap_.begin(), heap_.end());
        heap_.pop_back();
        if (heap_.empty() || heap_.front() != edge) return true;
        std::pop_heap(heap_.begin(), heap_.end());
        heap_.pop_back();
    }
    return false;
}

template <class Real>
const FlowStep<Real>& Flow<Real>::step(const RankedEdge<Real>& edge) {
    FlowStep<Real>& known = steps_.at(edge.edge());
    if (known.is_known()) return known;
    known.birth = births_.find(edge.a, edge.b);
    if (known.birth == Births<Real>::kNoNeighbour) known.apex = filtration_.apex(edge);
    return known;
}

template class Flow<float>;
template class Flow<double>;

}  // namespace adabet
