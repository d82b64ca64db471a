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
/// Loops that leave early look at this many entries at once.
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

/// Writes the edges from `b` to a = first, first + 1, ..., whose keys in row[0 .. count) lie in [low, high]; returns how
/// many. Writes up to kRowBlock entries past them.
template <class Real>
ADABET_INLINE std::size_t edges_of_row(const Real* row, Vertex b, Vertex first, std::size_t count, LengthKey<Real> low,
                                       LengthKey<Real> high, RankedEdge<Real>* out) {
    using Key = LengthKey<Real>;
    std::size_t found = 0;
    const auto append = [&](std::size_t i) __attribute__((always_inline)) {
        const Key key = length_key(row[i]);
        out[found] = {key, b, static_cast<Vertex>(static_cast<std::size_t>(first) + i)};
        found += static_cast<std::size_t>((key >= low) & (key <= high));
    };
    std::size_t i = 0;
    for (; i + kRowBlock <= count; i += kRowBlock) {
        Key any = 0;
        for (std::size_t j = 0; j < kRowBlock; ++j) {
            const Key key = length_key(row[i + j]);
            any |= static_cast<Key>(key >= low) & static_cast<Key>(key <= high);
        }
        if (any == 0) continue;
        for (std::size_t j = 0; j < kRowBlock; ++j) append(i + j);
    }
    for (; i < count; ++i) append(i);
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

/// Points near a point `a`, to rule out edges {a, b}: their rows from some first b on, their distance from a, and 1 for
/// those before a, since equal lengths then come before {a, b} as well. Without that one, duplicated points would rule out
/// nothing.
template <class Real>
struct Witnesses {
    static constexpr std::size_t kMost = 24;

    const Real* rows[kMost];
    LengthKey<Real> reach[kMost];
    LengthKey<Real> lead[kMost];
    std::size_t count = 0;  ///< in whole groups
};

/// Appends each b of [0, Width) that no witness rules out and whose row[b] <= longest.
template <std::size_t Width, class Real>
ADABET_INLINE std::size_t survivors_of_block(const Real* row, const Witnesses<Real>& witnesses, std::size_t offset,
                                             LengthKey<Real> longest, Vertex first, Vertex* survivors) {
    using Key = LengthKey<Real>;
    Key best[Width];
    for (std::size_t j = 0; j < Width; ++j) best[j] = std::numeric_limits<Key>::max();
    for (std::size_t w = 0; w < witnesses.count; w += kWitnessGroup) {
        const Real* rows[kWitnessGroup];
        Key reach[kWitnessGroup];
        Key lead[kWitnessGroup];
        for (std::size_t i = 0; i < kWitnessGroup; ++i) {
            rows[i] = witnesses.rows[w + i] + offset;
            reach[i] = witnesses.reach[w + i];
            lead[i] = witnesses.lead[w + i];
        }
        for (std::size_t j = 0; j < Width; ++j) {
            Key least = best[j];
            for (std::size_t i = 0; i < kWitnessGroup; ++i)
                least = std::min(least, std::max(reach[i], length_key(rows[i][j])) - lead[i]);
            best[j] = least;
        }
    }
    Key alive[Width];
    Key any = 0;
    for (std::size_t j = 0; j < Width; ++j) {
        const Key key = length_key(row[offset + j]);
        alive[j] = (best[j] >= key) & (key <= longest);
        any |= alive[j];
    }
    if (any == 0) return 0;
    std::size_t found = 0;
    for (std::size_t j = 0; j < Width; ++j) {
        survivors[found] = static_cast<Vertex>(static_cast<std::size_t>(first) + offset + j);
        found += alive[j] != 0;
    }
    return found;
}

/// Writes every b of [first, first + count) with row[b - first] <= longest that no witness rules out, row being that of a
/// point a < first; returns how many. Writes up to `count` entries.
template <class Real>
ADABET_INLINE std::size_t survivors_of_run(const Real* row, const Witnesses<Real>& witnesses, std::size_t count,
                                           LengthKey<Real> longest, Vertex first, Vertex* survivors) {
    constexpr std::size_t kSmallBlock = 16;
    std::size_t found = 0;
    std::size_t at = 0;
    for (; at + kRowBlock <= count; at += kRowBlock)
        found += survivors_of_block<kRowBlock>(row, witnesses, at, longest, first, survivors + found);
    for (; at + kSmallBlock <= count; at += kSmallBlock)
        found += survivors_of_block<kSmallBlock>(row, witnesses, at, longest, first, survivors + found);
    for (; at < count; ++at) found += survivors_of_block<1>(row, witnesses, at, longest, first, survivors + found);
    return found;
}

/// Lowers least[v] and raises most[v] to the keys of a row.
template <class Real>
ADABET_INLINE void column_bounds(const Real* row, std::size_t n, LengthKey<Real>* least, LengthKey<Real>* most) {
    for (std::size_t v = 0; v < n; ++v) {
        const LengthKey<Real> key = length_key(row[v]);
        least[v] = std::min(least[v], key);
        most[v] = std::max(most[v], key);
    }
}

/// Whether max(x[v], y[v]) < limit for some v.
template <class Key>
ADABET_INLINE bool any_both_below(const Key* x, const Key* y, std::size_t count, Key limit) {
    std::size_t v = 0;
    for (; v + kRowBlock <= count; v += kRowBlock) {
        Key any = 0;
        for (std::size_t j = 0; j < kRowBlock; ++j) any |= static_cast<Key>(std::max(x[v + j], y[v + j]) < limit);
        if (any != 0) return true;
    }
    Key any = 0;
    for (; v < count; ++v) any |= static_cast<Key>(std::max(x[v], y[v]) < limit);
    return any != 0;
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

/// Whether some v of [begin, end) has both {a, v} and {b, v} before {a, b}, a < b, in the order of RankedEdge: equal
/// lengths count as before where the edge's ends say so, hence three ranges of v. The rows start at v = origin.
template <class Real>
ADABET_INLINE bool lune_has(const Real* row_a, const Real* row_b, const RankedEdge<Real>& edge, std::size_t begin,
                            std::size_t end, std::size_t origin) {
    const auto a = std::clamp(static_cast<std::size_t>(edge.a), begin, end);
    const auto b = std::clamp(static_cast<std::size_t>(edge.b), begin, end);
    const auto after = [&](std::size_t v, Vertex end_point) {
        return v == static_cast<std::size_t>(end_point) && v < end ? v + 1 : v;
    };
    const LengthKey<Real> key = edge.key;
    // Most edges have a vertex that is nearer to both ends, whatever the ties; neither end is one.
    if (lune_meets(row_a, row_b, begin - origin, end - origin, key, key)) return true;
    const auto meets = [&](std::size_t first, std::size_t last, LengthKey<Real> before_a, LengthKey<Real> before_b)
                           __attribute__((always_inline)) {
                               return lune_meets(row_a, row_b, first - origin, last - origin, before_a, before_b);
                           };
    return meets(begin, a, key + 1, key + 1) || meets(after(a, edge.a), b, key + 1, key) ||
           meets(after(b, edge.b), end, key, key);
}

/// The same over whole rows, groups of points at once: a group whose least distance from the group of either end is beyond
/// the edge's length has no such v.
template <class Real>
ADABET_INLINE bool lune_has_in_groups(const Real* row_a, const Real* row_b, const RankedEdge<Real>& edge,
                                      const LengthKey<Real>* least_a, const LengthKey<Real>* least_b,
                                      std::size_t groups, std::size_t group, std::size_t n) {
    using Key = LengthKey<Real>;
    constexpr std::size_t kGroupsAtOnce = 16;
    for (std::size_t g = 0; g < groups; g += kGroupsAtOnce) {
        const std::size_t end = std::min(groups, g + kGroupsAtOnce);
        if (end - g == kGroupsAtOnce) {
            Key any = 0;
            for (std::size_t j = 0; j < kGroupsAtOnce; ++j)
                any |= static_cast<Key>(std::max(least_a[g + j], least_b[g + j]) <= edge.key);
            if (any == 0) continue;
        }
        for (std::size_t k = g; k < end; ++k) {
            // Neighbouring groups in one go: where bounds settle nothing that is the whole stretch.
            const std::size_t first = k;
            while (k < end && std::max(least_a[k], least_b[k]) <= edge.key) ++k;
            if (k > first && lune_has(row_a, row_b, edge, first * group, std::min(n, k * group), 0)) return true;
        }
    }
    return false;
}

}  // namespace adabet
