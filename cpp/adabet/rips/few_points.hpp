#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>

#include "adabet/rips/length_key.hpp"

namespace adabet {

/// The lengths of so few points that the relative neighbourhood graph is found by looking at every vertex for every edge,
/// a register of edges at once.
template <class Real>
struct FewPoints {
    using Key = LengthKey<Real>;
    /// 64 KiB of them at most, for they are on the stack; for n = 128 both ways take the same time.
    static constexpr std::size_t kMost = sizeof(Real) == sizeof(float) ? 128 : 88;
    static constexpr std::size_t kMostEdges = 1024;  ///< a point of a relative neighbourhood graph has few
    static constexpr std::size_t kLanes = 64 / sizeof(Real);
    static constexpr Key kNone = std::numeric_limits<Key>::max();  ///< on the diagonal and in the padding: no length

    /// Where the house has plain loops: of those GCC made scalar code here.
    using Register __attribute__((vector_size(64), may_alias)) = Key;

    std::size_t n = 0;
    std::size_t stride = 0;  ///< of the rows: whole registers
    alignas(64) Key keys[kMost * kMost];

    [[nodiscard]] const Key* row(std::size_t a) const { return keys + a * stride; }
};

/// Takes the lengths over; returns the key of the enclosing radius.
template <class Real>
ADABET_INLINE LengthKey<Real> take_few_points(const DistanceMatrix<Real>& matrix, FewPoints<Real>& points) {
    using Few = FewPoints<Real>;
    using Key = LengthKey<Real>;
    points.n = matrix.n;
    points.stride = (matrix.n + Few::kLanes - 1) / Few::kLanes * Few::kLanes;
    Key enclosing = Few::kNone;
    for (std::size_t a = 0; a < points.n; ++a) {
        const Real* const from = matrix.row(a);
        Key* const to = points.keys + a * points.stride;
        Key farthest = 0;
        for (std::size_t v = 0; v < points.n; ++v) {
            to[v] = length_key(from[v]);
            farthest = std::max(farthest, to[v]);
        }
        for (std::size_t v = points.n; v < points.stride; ++v) to[v] = Few::kNone;
        to[a] = Few::kNone;
        enclosing = std::min(enclosing, farthest);
    }
    return enclosing;
}

/// Writes the edges {a, b} with d(a, b) <= longest such that max(d(a, v), d(v, b)) > d(a, b) for all v; returns how many.
/// `is_tied` where equality stands in the way of one: the order of edges would have to decide. It stops beyond kMostEdges,
/// and has room for 4 kLanes more.
template <class Real>
ADABET_INLINE std::size_t edges_of_few_points(const FewPoints<Real>& points, LengthKey<Real> longest,
                                              RankedEdge<Real>* edges, bool& is_tied) {
    using Few = FewPoints<Real>;
    using Key = LengthKey<Real>;
    using Register = Few::Register;
    constexpr std::size_t kRows = 4;  // of a at once: each register of d(v, b) is loaded once for them
    std::size_t found = 0;
    bool any_tie = false;
    for (std::size_t a0 = 0; a0 + 1 < points.n; a0 += kRows) {
        const Key* rows[kRows];  // the last one again where there are no more
        for (std::size_t i = 0; i < kRows; ++i) rows[i] = points.row(std::min(a0 + i, points.n - 1));
        for (std::size_t first = (a0 + 1) / Few::kLanes * Few::kLanes; first < points.n; first += Few::kLanes) {
            Register best[kRows];
            for (std::size_t i = 0; i < kRows; ++i) best[i] = Register{} + Few::kNone;
            for (std::size_t v = 0; v < points.n; ++v) {
                const Register to_b = *reinterpret_cast<const Register*>(points.row(v) + first);
                for (std::size_t i = 0; i < kRows; ++i) {
                    const Register to_a = Register{} + rows[i][v];
                    const Register reach = to_a > to_b ? to_a : to_b;
                    best[i] = best[i] < reach ? best[i] : reach;
                }
            }
            if (found > Few::kMostEdges) return found;
            for (std::size_t a = a0; a < std::min(a0 + kRows, points.n - 1); ++a) {
                const Register key = *reinterpret_cast<const Register*>(points.row(a) + first);
                const Register is_short = key <= (Register{} + longest);
                const Register alive = (best[a - a0] > key) & is_short;
                const Register tied = (best[a - a0] == key) & is_short;
                Key any = 0;
                Key any_tied = 0;
                for (std::size_t j = 0; j < Few::kLanes; ++j) {
                    any |= alive[j];
                    any_tied |= tied[j];
                }
                any_tie |= any_tied != 0;
                if (any == 0) continue;
                for (std::size_t j = 0; j < Few::kLanes; ++j) {
                    const std::size_t b = first + j;
                    edges[found] = {key[j], static_cast<Vertex>(b), static_cast<Vertex>(a)};
                    found += static_cast<std::size_t>(alive[j] != 0 && b > a);
                }
            }
        }
    }
    is_tied = any_tie;
    return found;
}

}  // namespace adabet
