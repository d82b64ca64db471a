#include "adabet/persistence/few_points.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>

#include "adabet/persistence/window.hpp"
#include "adabet/rips/kernels.hpp"

namespace adabet {

namespace {

/// Disjoint sets of few points.
class FewComponents {
public:
    explicit FewComponents(std::size_t n) { std::iota(parent_.begin(), parent_.begin() + static_cast<long>(n), 0); }

    bool join(Vertex a, Vertex b) {
        const std::uint8_t x = root(static_cast<std::uint8_t>(a));
        const std::uint8_t y = root(static_cast<std::uint8_t>(b));
        parent_[x] = y;
        return x != y;
    }

private:
    std::uint8_t root(std::uint8_t v) {
        while (parent_[v] != v) v = parent_[v] = parent_[parent_[v]];
        return v;
    }

    std::array<std::uint8_t, FewPoints<float>::kMost> parent_;
};

/// A set of lengths.
template <class Real>
class FewLengths {
public:
    FewLengths() { slots_.fill(kFree); }

    /// Whether it is new.
    bool insert(LengthKey<Real> key) {
        const std::size_t at = place(key);
        if (slots_[at] == key) return false;
        slots_[at] = key;
        return true;
    }
    [[nodiscard]] bool contains(LengthKey<Real> key) const { return slots_[place(key)] == key; }

private:
    static constexpr unsigned kBits = 11;  // room for twice kMostEdges
    static constexpr LengthKey<Real> kFree = -1;

    [[nodiscard]] std::size_t place(LengthKey<Real> key) const {
        auto at = static_cast<std::size_t>((static_cast<std::uint64_t>(key) * 0x9E3779B97F4A7C15u) >> (64 - kBits));
        while (slots_[at] != key && slots_[at] != kFree) at = (at + 1) % slots_.size();
        return at;
    }

    std::array<LengthKey<Real>, std::size_t{1} << kBits> slots_;
};

/// Whether two edges that share an end have one of those lengths.
template <class Real>
bool share_an_end(const FewPoints<Real>& points, const FewLengths<Real>& lengths) {
    for (std::size_t a = 0; a < points.n; ++a) {
        std::array<LengthKey<Real>, FewPoints<Real>::kMost> met;
        auto end = met.begin();
        for (std::size_t b = 0; b < points.n; ++b)
            if (lengths.contains(points.row(a)[b])) *end++ = points.row(a)[b];
        std::sort(met.begin(), end);
        if (std::adjacent_find(met.begin(), end) != end) return true;
    }
    return false;
}

}  // namespace

template <class Real>
std::optional<std::size_t> betti1_of_few_points(const DistanceMatrix<Real>& distances, Real threshold) {
    using Few = FewPoints<Real>;
    if (distances.n > Few::kMost || distances.n < 2) return std::nullopt;
    const RipsKernels<Real>& kernels = rips_kernels<Real>();
    Few points;
    const LengthKey<Real> radius = kernels.take_few_points(distances, points);
    EnclosingRadius<Real> enclosing;
    if (radius <= longest_finite_key<Real>) enclosing.radius = length_of<Real>(radius);
    const Window<Real> window = filtration_window(enclosing, threshold);

    std::array<RankedEdge<Real>, Few::kMostEdges + 4 * Few::kLanes> edges;
    bool is_tied = false;
    const std::size_t count = kernels.edges_of_few_points(points, window.longest_birth, edges.data(), is_tied);
    if (is_tied || count > Few::kMostEdges) return std::nullopt;

    FewComponents components(points.n);
    FewLengths<Real> lengths;
    std::size_t births = 0;
    bool repeated = false;
    for (std::size_t i = 0; i < count; ++i) {
        births += components.join(edges[i].a, edges[i].b) ? 0 : 1;
        repeated |= !lengths.insert(edges[i].key);
    }
    if (births == 0) return 0;
    std::size_t met = 0;
    for (std::size_t a = 0; a + 1 < points.n; ++a)
        for (std::size_t b = a + 1; b < points.n; ++b) met += lengths.contains(points.row(a)[b]) ? 1 : 0;
    if ((repeated || met != count) && share_an_end(points, lengths)) return std::nullopt;
    return births;
}

template std::optional<std::size_t> betti1_of_few_points(const DistanceMatrix<float>&, float);
template std::optional<std::size_t> betti1_of_few_points(const DistanceMatrix<double>&, double);

}  // namespace adabet
