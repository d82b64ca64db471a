#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "adabet/persistence/births.hpp"
#include "adabet/persistence/filtration.hpp"
#include "adabet/rips/critical_device.hpp"

namespace adabet {

/// A filtration whose distances are far away, in a device's memory or made there. Before edges are killed, everything that their cycles can flow
/// through is brought to the host, a few questions for all of them at a time: the edges, and an apex of each that is not of
/// the relative neighbourhood graph.
template <class Real>
class PreparedFiltration final : public Filtration<Real> {
public:
    /// Answers with an apex of each edge; a vertex of -1 where its lune is empty.
    using Ask = std::function<Buffer<Apex<Real>>(std::span<const RankedEdge<Real>> edges)>;

    PreparedFiltration(Ask ask, const Births<Real>& births, const Execution& execution);

    /// Makes ready for the cycles of these critical edges.
    void prepare(std::span<const CriticalRecord<Real>> records);

    [[nodiscard]] RankedEdge<Real> edge(Vertex x, Vertex y) const override;
    [[nodiscard]] Apex<Real> apex(const RankedEdge<Real>& edge) const override;

private:
    struct Known {
        Edge edge;
        LengthKey<Real> key;
        Apex<Real> apex;
    };
    static constexpr std::size_t kFirstCapacity = std::size_t{1} << 12;  ///< a power of two, as all later ones
    static constexpr std::size_t kMostAsked = std::size_t{1} << 22;      ///< edges of one question

    static std::size_t place(const Buffer<Known>& known, const Edge& edge);
    [[nodiscard]] const Known& find(Vertex x, Vertex y) const;
    /// Notes an edge; one that is new and has an apex is waiting for it from then on.
    void note(Vertex x, Vertex y, LengthKey<Real> key);
    void grow();

    Ask ask_;
    const Births<Real>& births_;
    const Execution& execution_;
    Buffer<Known> known_;
    std::size_t size_ = 0;
    Buffer<RankedEdge<Real>> waiting_;
};

}  // namespace adabet
