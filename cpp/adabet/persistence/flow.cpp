#include "adabet/persistence/flow.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace adabet {

namespace {

/// Of the first few vertices found in the lune the best is taken: nearly as short a flow as with the best of all, which
/// takes four times as long to find.
constexpr int kApexCandidates = 4;

}  // namespace

template <class Real>
Flow<Real>::Flow(const DistanceMatrix<Real>& distances, const BitGraph& graph, const Births<Real>& births,
                 MemoryBudget& budget)
    : distances_(distances),
      graph_(graph),
      births_(births),
      steps_(budget),
      heap_(make_buffer<RankedEdge<Real>>(budget)) {}

template <class Real>
void Flow<Real>::push(const RankedEdge<Real>& edge) {
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
    if (known.birth == Births<Real>::kNoNeighbour) find_apex(edge, known);
    return known;
}

/// The bit rows may hold later edges than `edge` by now, so each common neighbour is checked against the order.
template <class Real>
void Flow<Real>::find_apex(const RankedEdge<Real>& edge, FlowStep<Real>& step) const {
    const BitGraph::Word* const bits_a = graph_.row(graph_.slot(edge.a));
    const BitGraph::Word* const bits_b = graph_.row(graph_.slot(edge.b));
    const Real* const row_a = distances_.row(static_cast<std::size_t>(edge.a));
    const Real* const row_b = distances_.row(static_cast<std::size_t>(edge.b));
    LengthKey<Real> least = edge.key;
    int found = 0;
    for (std::size_t w = 0; w < graph_.words() && found < kApexCandidates; ++w) {
        for (BitGraph::Word common = bits_a[w] & bits_b[w]; common != 0 && found < kApexCandidates;
             common &= common - 1) {
            const Vertex z =
                graph_.vertex(w * BitGraph::kWordBits + static_cast<std::size_t>(std::countr_zero(common)));
            const LengthKey<Real> to_a = length_key(row_a[z]);
            const LengthKey<Real> to_b = length_key(row_b[z]);
            const bool before_a = to_a < edge.key || (to_a == edge.key && z < edge.b);
            const bool before_b = to_b < edge.key || (to_b == edge.key && z < edge.a);
            if (!before_a || !before_b) continue;
            const LengthKey<Real> longer = std::max(to_a, to_b);
            if (step.apex < 0 || longer < least) {
                step.apex = z;
                step.to_a = to_a;
                step.to_b = to_b;
                least = longer;
            }
            ++found;
        }
    }
    if (step.apex < 0)
        throw std::logic_error("an edge with an empty lune is missing from the relative neighbourhood graph");
}

template class Flow<float>;
template class Flow<double>;

}  // namespace adabet
