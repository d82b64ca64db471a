#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>

#include "adabet/isa.hpp"
#include "adabet/rips/length_key.hpp"

namespace adabet {

/// A vertex near another one, and how far it is.
template <class Real>
struct Witness {
    Vertex vertex;
    LengthKey<Real> key;
};

/// One pass of the rule-out loop reads the rows of this many witnesses.
inline constexpr std::size_t kWitnessGroup = 8;
/// ... and settles this many pairs.
inline constexpr std::size_t kRowBlock = 64;

/// Largest key of a row.
template <class Real>
ADABET_INLINE LengthKey<Real> row_maximum(const Real* row, std::size_t n) {
    LengthKey<Real> longest = 0;
    for (std::size_t v = 0; v < n; ++v) longest = std::max(longest, length_key(row[v]));
    return longest;
}

/// Sum of a row, "no edge" counting as a length beyond all others.
template <class Real>
ADABET_INLINE double row_sum(const Real* row, std::size_t n) {
    constexpr std::size_t kLanes = 16;
    constexpr double kNoEdge = 1e300;
    double lanes[kLanes] = {};
    std::size_t v = 0;
    for (; v + kLanes <= n; v += kLanes)
        for (std::size_t j = 0; j < kLanes; ++j) lanes[j] += std::min(static_cast<double>(row[v + j]), kNoEdge);
    for (; v < n; ++v) lanes[0] += std::min(static_cast<double>(row[v]), kNoEdge);
    double sum = 0;
    for (const double lane : lanes) sum += lane;
    return sum;
}

/// Lowers `least` and raises `most` to the keys of row[0 .. end) that lie in [low, high].
template <class Real>
ADABET_INLINE void row_range(const Real* row, std::size_t end, LengthKey<Real> low, LengthKey<Real> high,
                             LengthKey<Real>& least, LengthKey<Real>& most) {
    LengthKey<Real> lowest = least;
    LengthKey<Real> highest = most;
    for (std::size_t v = 0; v < end; ++v) {
        const LengthKey<Real> key = length_key(row[v]);
        const bool inside = (key >= low) & (key <= high);
        lowest = inside ? std::min(lowest, key) : lowest;
        highest = inside ? std::max(highest, key) : highest;
    }
    least = lowest;
    most = highest;
}

/// Appends the edges from `b` to smaller ends, with keys in [low, high]; returns how many. Writes up to kRowBlock entries
/// past them.
template <class Real>
ADABET_INLINE std::size_t edges_of_row(const Real* row, Vertex b, LengthKey<Real> low, LengthKey<Real> high,
                                       RankedEdge<Real>* out) {
    using Key = LengthKey<Real>;
    const auto end = static_cast<std::size_t>(b);
    std::size_t found = 0;
    const auto append = [&](std::size_t a) __attribute__((always_inline)) {
        const Key key = length_key(row[a]);
        out[found] = {key, b, static_cast<Vertex>(a)};
        found += static_cast<std::size_t>((key >= low) & (key <= high));
    };
    std::size_t a = 0;
    for (; a + kRowBlock <= end; a += kRowBlock) {
        Key any = 0;
        for (std::size_t j = 0; j < kRowBlock; ++j) {
            const Key key = length_key(row[a + j]);
            any |= static_cast<Key>(key >= low) & static_cast<Key>(key <= high);
        }
        if (any == 0) continue;
        for (std::size_t j = 0; j < kRowBlock; ++j) append(a + j);
    }
    for (; a < end; ++a) append(a);
    return found;
}

/// The nearest point, `a` left out, of each of `n_segments` stretches of a row: near enough to rule out most pairs, and
/// cheaper than the nearest points of all. Returns how many were found.
template <class Real>
ADABET_INLINE std::size_t segment_minima(const Real* row, std::size_t n, Vertex a, std::size_t n_segments,
                                         Witness<Real>* out) {
    using Key = LengthKey<Real>;
    std::size_t found = 0;
    for (std::size_t s = 0; s < n_segments; ++s) {
        const std::size_t begin = n * s / n_segments;
        const std::size_t end = n * (s + 1) / n_segments;
        const auto skip = static_cast<std::size_t>(a);
        Key least = std::numeric_limits<Key>::max();
        for (std::size_t v = begin; v < std::min(end, skip); ++v) least = std::min(least, length_key(row[v]));
        for (std::size_t v = std::max(begin, skip + 1); v < end; ++v) least = std::min(least, length_key(row[v]));
        if (least > longest_finite_key<Real>) continue;
        std::size_t v = begin;
        while (v == skip || length_key(row[v]) != least) ++v;
        out[found++] = {static_cast<Vertex>(v), least};
    }
    return found;
}

/// Lowers best[j] to the least key that rules {a, b0 + j} out if it is below that edge's own, over one group of witnesses
/// v: max(d(a, v), d(v, b)), and one less for v < a, since then equal lengths come before {a, b} as well. Without that one,
/// duplicated points would rule out nothing.
template <class Real>
ADABET_INLINE void lower_by_group(const DistanceMatrix<Real>& distances, Vertex a, const Witness<Real>* group,
                                  std::size_t b0, LengthKey<Real>* best) {
    using Key = LengthKey<Real>;
    const Real* rows[kWitnessGroup];
    Key reach[kWitnessGroup];
    Key lead[kWitnessGroup];
    for (std::size_t i = 0; i < kWitnessGroup; ++i) {
        lead[i] = group[i].vertex < a ? 1 : 0;
        rows[i] = distances.row(static_cast<std::size_t>(group[i].vertex)) + b0;
        reach[i] = group[i].key;
    }
    for (std::size_t j = 0; j < kRowBlock; ++j) {
        Key least = best[j];
        for (std::size_t i = 0; i < kWitnessGroup; ++i)
            least = std::min(least, std::max(reach[i], length_key(rows[i][j])) - lead[i]);
        best[j] = least;
    }
}

/// Appends every b > a with d(a, b) <= longest that no witness rules out; returns how many. Needs n >= kRowBlock and
/// whole groups of witnesses.
template <class Real>
ADABET_INLINE std::size_t survivors_of_row(const DistanceMatrix<Real>& distances, Vertex a,
                                           const Witness<Real>* witnesses, std::size_t n_witnesses,
                                           LengthKey<Real> longest, Vertex* survivors) {
    using Key = LengthKey<Real>;
    const Real* const row = distances.row(static_cast<std::size_t>(a));
    std::size_t found = 0;
    std::size_t next = static_cast<std::size_t>(a) + 1;  // the first b not yet settled
    while (next < distances.n) {
        const std::size_t b0 = std::min(next, distances.n - kRowBlock);
        Key best[kRowBlock];
        for (std::size_t j = 0; j < kRowBlock; ++j) best[j] = std::numeric_limits<Key>::max();
        for (std::size_t w = 0; w < n_witnesses; w += kWitnessGroup)
            lower_by_group(distances, a, witnesses + w, b0, best);
        Key alive[kRowBlock];
        Key any = 0;
        for (std::size_t j = 0; j < kRowBlock; ++j) {
            const Key key = length_key(row[b0 + j]);
            alive[j] = (best[j] >= key) & (key <= longest);
            any |= alive[j];
        }
        if (any != 0) {
            for (std::size_t b = next; b < b0 + kRowBlock; ++b) {
                survivors[found] = static_cast<Vertex>(b);
                found += alive[b - b0] != 0;
            }
        }
        next = b0 + kRowBlock;
    }
    return found;
}

/// Whether some v in [begin, end) has d(a, v) < before_a and d(b, v) < before_b.
template <class Real>
ADABET_INLINE bool lune_meets(const Real* row_a, const Real* row_b, std::size_t begin, std::size_t end,
                              LengthKey<Real> before_a, LengthKey<Real> before_b) {
    using Key = LengthKey<Real>;
    std::size_t v = begin;
    for (; v + kRowBlock <= end; v += kRowBlock) {
        Key any = 0;
        for (std::size_t j = 0; j < kRowBlock; ++j)
            any |= static_cast<Key>(length_key(row_a[v + j]) < before_a) &
                   static_cast<Key>(length_key(row_b[v + j]) < before_b);
        if (any != 0) return true;
    }
    Key any = 0;
    for (; v < end; ++v)
        any |= static_cast<Key>(length_key(row_a[v]) < before_a) & static_cast<Key>(length_key(row_b[v]) < before_b);
    return any != 0;
}

/// Whether no vertex v has both {a, v} and {b, v} before {a, b}, a < b, in the order of RankedEdge: equal lengths count as
/// before where the edge's ends say so, hence three ranges of v.
template <class Real>
ADABET_INLINE bool lune_is_empty(const DistanceMatrix<Real>& distances, Vertex a, Vertex b) {
    const auto ia = static_cast<std::size_t>(a);
    const auto ib = static_cast<std::size_t>(b);
    const Real* const row_a = distances.row(ia);
    const Real* const row_b = distances.row(ib);
    const LengthKey<Real> key = length_key(row_a[ib]);
    return !lune_meets(row_a, row_b, 0, ia, key + 1, key + 1) && !lune_meets(row_a, row_b, ia + 1, ib, key + 1, key) &&
           !lune_meets(row_a, row_b, ib + 1, distances.n, key, key);
}

}  // namespace adabet
