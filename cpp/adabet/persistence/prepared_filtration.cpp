#include "adabet/persistence/prepared_filtration.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace adabet {

template <class Real>
PreparedFiltration<Real>::PreparedFiltration(Ask ask, const Births<Real>& births, const Execution& execution)
    : ask_(std::move(ask)),
      births_(births),
      execution_(execution),
      known_(make_buffer<Known>(execution.budget, kFirstCapacity, Known{})),
      waiting_(make_buffer<RankedEdge<Real>>(execution.budget)) {}

template <class Real>
std::size_t PreparedFiltration<Real>::place(const Buffer<Known>& known, const Edge& edge) {
    const auto key = static_cast<std::uint64_t>(edge.a) << 32 | static_cast<std::uint64_t>(edge.b);
    const std::size_t mask = known.size() - 1;
    auto i = static_cast<std::size_t>((key * 0x9E3779B97F4A7C15u) >> 32) & mask;
    while (known[i].edge.a >= 0 && known[i].edge != edge) i = (i + 1) & mask;
    return i;
}

template <class Real>
void PreparedFiltration<Real>::grow() {
    auto larger = make_buffer<Known>(execution_.budget, 2 * known_.size(), Known{});
    for (const Known& known : known_)
        if (known.edge.a >= 0) larger[place(larger, known.edge)] = known;
    known_.swap(larger);
}

template <class Real>
void PreparedFiltration<Real>::note(Vertex x, Vertex y, LengthKey<Real> key) {
    const Edge edge{std::min(x, y), std::max(x, y)};
    if (2 * (size_ + 1) > known_.size()) grow();
    Known& known = known_[place(known_, edge)];
    if (known.edge.a >= 0) return;
    known = {edge, key, {}};
    ++size_;
    if (births_.find(edge.a, edge.b) == Births<Real>::kNoNeighbour) waiting_.push_back({key, edge.b, edge.a});
}

template <class Real>
void PreparedFiltration<Real>::prepare(std::span<const CriticalRecord<Real>> records) {
    for (const CriticalRecord<Real>& record : records) {
        note(record.edge.a, record.vertex, record.to_a);
        note(record.edge.b, record.vertex, record.to_b);
    }
    auto asked = make_buffer<RankedEdge<Real>>(execution_.budget);
    while (!waiting_.empty()) {
        execution_.check();
        asked.swap(waiting_);
        waiting_.clear();
        for (std::size_t first = 0; first < asked.size(); first += kMostAsked) {
            const std::span<const RankedEdge<Real>> part(asked.data() + first,
                                                         std::min(kMostAsked, asked.size() - first));
            const auto found = ask_(part);
            for (std::size_t i = 0; i < part.size(); ++i) {
                const Apex<Real>& answer = found[i];
                if (answer.vertex < 0)
                    throw std::logic_error(
                        "an edge with an empty lune is missing from the relative neighbourhood graph");
                known_[place(known_, part[i].edge())].apex = answer;
                note(part[i].a, answer.vertex, answer.to_a);
                note(part[i].b, answer.vertex, answer.to_b);
            }
        }
    }
}

template <class Real>
auto PreparedFiltration<Real>::find(Vertex x, Vertex y) const -> const Known& {
    const Known& known = known_[place(known_, {std::min(x, y), std::max(x, y)})];
    if (known.edge.a < 0) throw std::logic_error("an edge of a flow was not asked for");
    return known;
}

template <class Real>
RankedEdge<Real> PreparedFiltration<Real>::edge(Vertex x, Vertex y) const {
    const Known& known = find(x, y);
    return {known.key, known.edge.b, known.edge.a};
}

template <class Real>
Apex<Real> PreparedFiltration<Real>::apex(const RankedEdge<Real>& edge) const {
    return find(edge.a, edge.b).apex;
}

template class PreparedFiltration<float>;
template class PreparedFiltration<double>;

}  // namespace adabet
