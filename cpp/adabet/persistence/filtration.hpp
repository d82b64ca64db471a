#pragma once

#include "adabet/rips/length_key.hpp"

namespace adabet {

/// A vertex of an edge's lune, with the keys of the two edges to it.
template <class Real>
struct Apex {
    Vertex vertex = -1;
    LengthKey<Real> to_a = 0;
    LengthKey<Real> to_b = 0;
};

/// What flows ask of a filtration, whatever it is kept in.
template <class Real>
class Filtration {
public:
    Filtration() = default;
    Filtration(const Filtration&) = delete;
    Filtration& operator=(const Filtration&) = delete;
    virtual ~Filtration() = default;

    /// The edge between two vertices that are joined by one.
    [[nodiscard]] virtual RankedEdge<Real> edge(Vertex x, Vertex y) const = 0;

    /// A vertex v of the lune of an edge {a, b}: {a, v} and {b, v} both precede it. Only for edges that have one.
    [[nodiscard]] virtual Apex<Real> apex(const RankedEdge<Real>& edge) const = 0;
};

}  // namespace adabet
