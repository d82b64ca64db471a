#include "adabet/persistence/bit_filtration.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace adabet {

namespace {

/// Of the first few vertices found in the lune the best is taken: nearly as short a flow as with the best of all, which
/// takes four times as long to find.
constexpr int kApexCandidates = 4;

}  // namespace

/// The bit rows may hold later edges than `edge` by now, so each common neighbour is checked against the order.
template <class Real>
Apex<Real> BitFiltration<Real>::apex(const RankedEdge<Real>& edge) const {
    const BitGraph::Word* const bits_a = graph_.row(graph_.slot(edge.a));
    const BitGraph::Word* const bits_b = graph_.row(graph_.slot(edge.b));
    const auto a = static_cast<std::size_t>(edge.a);
    const auto b = static_cast<std::size_t>(edge.b);
    Apex<Real> best;
    LengthKey<Real> least = edge.key;
    int found = 0;
    for (std::size_t w = 0; w < graph_.words() && found < kApexCandidates; ++w) {
        for (BitGraph::Word common = bits_a[w] & bits_b[w]; common != 0 && found < kApexCandidates;
             common &= common - 1) {
            const Vertex z =
                graph_.vertex(w * BitGraph::kWordBits + static_cast<std::size_t>(std::countr_zero(common)));
            const LengthKey<Real> to_a = length_key(distances_.at(a, static_cast<std::size_t>(z)));
            const LengthKey<Real> to_b = length_key(distances_.at(b, static_cast<std::size_t>(z)));
            const bool before_a = to_a < edge.key || (to_a == edge.key && z < edge.b);
            const bool before_b = to_b < edge.key || (to_b == edge.key && z < edge.a);
            if (!before_a || !before_b) continue;
            const LengthKey<Real> longer = std::max(to_a, to_b);
            if (best.vertex < 0 || longer < least) {
                best = {z, to_a, to_b};
                least = longer;
            }
            ++found;
        }
    }
    if (best.vertex < 0)
        throw std::logic_error("an edge with an empty lune is missing from the relative neighbourhood graph");
    return best;
}

template class BitFiltration<float>;
template class BitFiltration<double>;

}  // namespace adabet
