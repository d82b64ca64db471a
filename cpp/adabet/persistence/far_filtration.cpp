#include "adabet/persistence/far_filtration.hpp"

#include <algorithm>
#include <bit>

namespace adabet {

namespace {

/// As in BitFiltration: of the first few vertices found in the lune the best is taken.
constexpr int kApexCandidates = 4;
/// Edges whose apexes are looked for at once.
constexpr std::size_t kEdgesAtOnce = std::size_t{1} << 15;
constexpr std::size_t kRecordsAtOnce = std::size_t{1} << 14;

}  // namespace

/// How far the search for one edge's apex has come: the common neighbours from a slot on are to be looked at.
template <class Real>
struct FarFiltration<Real>::Search {
    std::size_t edge;
    std::size_t slot = 0;
    std::size_t first = 0;  ///< of what was asked for it
    int count = 0;          ///< vertices
};

template <class Real>
FarFiltration<Real>::FarFiltration(const Distances<Real>& distances, const BitGraph& graph, const Births<Real>& births,
                                   const Execution& execution)
    : distances_(distances, 0, execution.budget),
      graph_(graph),
      execution_(execution),
      asked_(make_buffer<Edge>(execution.budget)),
      lengths_(make_buffer<Real>(execution.budget)),
      filtration_([this](std::span<const RankedEdge<Real>> edges) { return apexes(edges); }, births, execution) {}

template <class Real>
void FarFiltration<Real>::prepare(std::span<const RankedEdge<Real>> edges, const CriticalEdges& critical) {
    auto records = make_buffer<CriticalRecord<Real>>(execution_.budget);
    const auto bring = [&] {
        asked_.clear();
        for (const CriticalRecord<Real>& record : records) {
            asked_.push_back({record.edge.a, record.vertex});
            asked_.push_back({record.edge.b, record.vertex});
        }
        lengths_.resize(asked_.size());
        distances_.pairs(asked_, lengths_.data());
        for (std::size_t k = 0; k < records.size(); ++k) {
            records[k].to_a = length_key(lengths_[2 * k]);
            records[k].to_b = length_key(lengths_[2 * k + 1]);
        }
        filtration_.prepare(records);
        records.clear();
    };
    for (std::size_t i = 0; i < critical.items.size(); ++i) {
        Vertex component = 0;
        for (const Vertex vertex : critical.representatives(i))
            records.push_back({edges[critical.items[i].edge], component++, vertex, 0, 0});
        if (records.size() >= kRecordsAtOnce) bring();
    }
    if (!records.empty()) bring();
}

template <class Real>
Buffer<Apex<Real>> FarFiltration<Real>::apexes(std::span<const RankedEdge<Real>> edges) {
    auto found = make_buffer<Apex<Real>>(execution_.budget, edges.size());
    for (std::size_t begin = 0; begin < edges.size(); begin += kEdgesAtOnce)
        apexes_of_part(edges.subspan(begin, std::min(kEdgesAtOnce, edges.size() - begin)), found.data() + begin);
    return found;
}

/// Common neighbours by the bit rows, which may hold later edges by now: a few of each edge are asked for, then a few more of
/// those edges that none of them was early enough for.
template <class Real>
void FarFiltration<Real>::apexes_of_part(std::span<const RankedEdge<Real>> edges, Apex<Real>* out) {
    auto searches = make_buffer<Search>(execution_.budget, edges.size());
    for (std::size_t i = 0; i < edges.size(); ++i) {
        searches[i] = Search{i};
        out[i] = {};
    }
    while (!searches.empty()) {
        asked_.clear();
        for (std::size_t k = 0; k < searches.size(); ++k) {
            if (k % 256 == 0) execution_.check();
            propose(edges[searches[k].edge], searches[k]);
        }
        lengths_.resize(asked_.size());
        distances_.pairs(asked_, lengths_.data());
        std::size_t left = 0;
        for (const Search& search : searches) {
            Apex<Real>& best = out[search.edge];
            for (int c = 0; c < search.count; ++c) {
                const std::size_t at = search.first + 2 * static_cast<std::size_t>(c);
                offer(edges[search.edge], asked_[at].b, length_key(lengths_[at]), length_key(lengths_[at + 1]), best);
            }
            if (best.vertex < 0 && search.count == kApexCandidates) searches[left++] = search;
        }
        searches.resize(left);
    }
}

/// Asks for the next few common neighbours.
template <class Real>
void FarFiltration<Real>::propose(const RankedEdge<Real>& edge, Search& search) {
    constexpr std::size_t kBits = BitGraph::kWordBits;
    const BitGraph::Word* const bits_a = graph_.row(graph_.slot(edge.a));
    const BitGraph::Word* const bits_b = graph_.row(graph_.slot(edge.b));
    search.first = asked_.size();
    search.count = 0;
    for (std::size_t w = search.slot / kBits; w < graph_.words(); ++w) {
        BitGraph::Word common = bits_a[w] & bits_b[w];
        if (w == search.slot / kBits) common &= ~BitGraph::Word{0} << (search.slot % kBits);
        for (; common != 0; common &= common - 1) {
            const std::size_t slot = w * kBits + static_cast<std::size_t>(std::countr_zero(common));
            if (search.count == kApexCandidates) {
                search.slot = slot;
                return;
            }
            const Vertex z = graph_.vertex(slot);
            asked_.push_back({edge.a, z});
            asked_.push_back({edge.b, z});
            ++search.count;
        }
    }
    search.slot = graph_.words() * kBits;
}

/// Takes a vertex that is in the lune and better than the best so far.
template <class Real>
void FarFiltration<Real>::offer(const RankedEdge<Real>& edge, Vertex z, LengthKey<Real> to_a, LengthKey<Real> to_b,
                                Apex<Real>& best) {
    const bool before_a = to_a < edge.key || (to_a == edge.key && z < edge.b);
    const bool before_b = to_b < edge.key || (to_b == edge.key && z < edge.a);
    if (!before_a || !before_b) return;
    if (best.vertex >= 0 && std::max(to_a, to_b) >= std::max(best.to_a, best.to_b)) return;
    best = {z, to_a, to_b};
}

template class FarFiltration<float>;
template class FarFiltration<double>;

}  // namespace adabet
