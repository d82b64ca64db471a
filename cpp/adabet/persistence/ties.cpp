#include "adabet/persistence/ties.hpp"

#include <algorithm>
#include <bit>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace adabet {

namespace {

/// More tied edges than this in multiples of n, and the bit rows are the better tool.
constexpr std::size_t kMostTiesPerPoint = 1;
constexpr std::size_t kRowsPerCheck = 64;

/// A set of lengths that may answer yes for one that is not in it, never no for one that is.
template <class Real>
class LengthFilter {
public:
    LengthFilter(const Buffer<RankedEdge<Real>>& edges, MemoryBudget& budget)
        : shift_(64 - static_cast<unsigned>(std::bit_width(std::max<std::size_t>(edges.size() * 32, 1024)))),
          bits_(make_buffer<std::uint64_t>(budget, (std::size_t{1} << (64 - shift_)) / 64, 0)) {
        for (const RankedEdge<Real>& edge : edges)
            bits_[hash(edge.key) / 64] |= std::uint64_t{1} << (hash(edge.key) % 64);
    }

    [[nodiscard]] bool may_contain(LengthKey<Real> key) const {
        const std::size_t h = hash(key);
        return ((bits_[h / 64] >> (h % 64)) & 1) != 0;
    }

private:
    [[nodiscard]] std::size_t hash(LengthKey<Real> key) const {
        return static_cast<std::size_t>((static_cast<std::uint64_t>(key) * 0x9E3779B97F4A7C15u) >> shift_);
    }

    unsigned shift_;
    Buffer<std::uint64_t> bits_;
};

/// Every edge whose length gives birth and that shares an end with another edge of that length, in order, each once.
/// Stops, and returns false, where there are more than `most`.
template <class Real>
bool find_tied_edges(const DistanceMatrix<Real>& distances, const Births<Real>& births, std::size_t most,
                     const Execution& execution, Buffer<RankedEdge<Real>>& tied) {
    const LengthFilter<Real> filter(births.edges(), execution.budget);
    const auto gives_birth = [&](LengthKey<Real> key) {
        const auto at = std::lower_bound(births.edges().begin(), births.edges().end(), key,
                                         [](const RankedEdge<Real>& edge, LengthKey<Real> k) { return edge.key < k; });
        return at != births.edges().end() && at->key == key;
    };
    const std::size_t n = distances.n;
    const auto longest = births.edges().back().key;
    auto hits = make_buffer<std::pair<LengthKey<Real>, Vertex>>(execution.budget, n);
    for (std::size_t a = 0; a < n; ++a) {
        if (a % kRowsPerCheck == 0) execution.check();
        const Real* const row = distances.row(a);
        std::size_t found = 0;
        for (std::size_t v = 0; v < n; ++v) {
            const auto key = length_key(row[v]);
            hits[found] = {key, static_cast<Vertex>(v)};
            found += static_cast<std::size_t>(key <= longest && v != a && filter.may_contain(key));
        }
        const auto end = hits.begin() + static_cast<std::ptrdiff_t>(found);
        std::sort(hits.begin(), end);
        for (auto low = hits.begin(); low != end;) {
            const auto high = std::find_if(low, end, [&](const auto& hit) { return hit.first != low->first; });
            if (high - low > 1 && gives_birth(low->first)) {
                for (auto it = low; it != high; ++it)
                    tied.push_back(ranked_edge(distances, static_cast<Vertex>(a), it->second));
                if (tied.size() > 2 * most) return false;
            }
            low = high;
        }
    }
    std::sort(tied.begin(), tied.end());
    tied.erase(std::unique(tied.begin(), tied.end()), tied.end());
    return tied.size() <= most;
}

/// The columns of one length, restricted to the births of that length.
template <class Real>
class TieGroup {
public:
    TieGroup(const DistanceMatrix<Real>& distances, const Births<Real>& births)
        : distances_(distances), births_(births) {}

    void add_cells_of(const RankedEdge<Real>& edge) {
        const std::vector<Vertex> representatives = component_representatives(edge);
        for (std::size_t i = 1; i < representatives.size(); ++i) {
            std::set<RankedEdge<Real>> chain;
            for (const Vertex end : {edge.a, edge.b}) {
                toggle(chain, end, representatives[0], edge.key);
                toggle(chain, end, representatives[i], edge.key);
            }
            reduce(flow(std::move(chain), edge.key));
        }
    }
    [[nodiscard]] std::size_t rank() const { return columns_.size(); }

private:
    using Column = std::set<BirthIndex>;

    [[nodiscard]] std::vector<Vertex> lune(const RankedEdge<Real>& edge) const {
        std::vector<Vertex> vertices;
        for (Vertex v = 0; static_cast<std::size_t>(v) < distances_.n; ++v) {
            if (v != edge.a && v != edge.b && ranked_edge(distances_, edge.a, v) < edge &&
                ranked_edge(distances_, edge.b, v) < edge)
                vertices.push_back(v);
        }
        return vertices;
    }

    /// One vertex for each component of the graph that earlier edges induce on the lune.
    [[nodiscard]] std::vector<Vertex> component_representatives(const RankedEdge<Real>& edge) const {
        std::vector<Vertex> unvisited = lune(edge);
        std::vector<Vertex> representatives;
        while (!unvisited.empty()) {
            std::vector<Vertex> frontier{unvisited.back()};
            representatives.push_back(unvisited.back());
            unvisited.pop_back();
            while (!frontier.empty() && !unvisited.empty()) {
                const Vertex v = frontier.back();
                frontier.pop_back();
                const auto reached = std::partition(unvisited.begin(), unvisited.end(),
                                                    [&](Vertex u) { return !(ranked_edge(distances_, u, v) < edge); });
                frontier.insert(frontier.end(), reached, unvisited.end());
                unvisited.erase(reached, unvisited.end());
            }
        }
        return representatives;
    }

    void toggle(std::set<RankedEdge<Real>>& chain, Vertex x, Vertex y, LengthKey<Real> key) const {
        const RankedEdge<Real> edge = ranked_edge(distances_, x, y);
        if (edge.key != key) return;
        const auto [at, is_new] = chain.insert(edge);
        if (!is_new) chain.erase(at);
    }

    [[nodiscard]] Column flow(std::set<RankedEdge<Real>> chain, LengthKey<Real> key) const {
        Column column;
        while (!chain.empty()) {
            const auto youngest = std::prev(chain.end());
            const RankedEdge<Real> edge = *youngest;
            chain.erase(youngest);
            const BirthIndex birth = births_.find(edge.a, edge.b);
            if (birth >= 0) column.insert(birth);
            if (birth != Births<Real>::kNoNeighbour) continue;
            const Vertex z = nearest_of_lune(edge);
            toggle(chain, edge.a, z, key);
            toggle(chain, edge.b, z, key);
        }
        return column;
    }

    [[nodiscard]] Vertex nearest_of_lune(const RankedEdge<Real>& edge) const {
        const std::vector<Vertex> vertices = lune(edge);
        const auto reach = [&](Vertex z) {
            return std::max(ranked_edge(distances_, edge.a, z), ranked_edge(distances_, edge.b, z)).key;
        };
        return *std::min_element(vertices.begin(), vertices.end(),
                                 [&](Vertex x, Vertex y) { return reach(x) < reach(y); });
    }

    void reduce(Column column) {
        while (!column.empty()) {
            const auto stored = columns_.find(*column.rbegin());
            if (stored == columns_.end()) {
                const BirthIndex pivot = *column.rbegin();
                columns_.emplace(pivot, std::move(column));
                return;
            }
            for (const BirthIndex birth : stored->second) {
                const auto [at, is_new] = column.insert(birth);
                if (!is_new) column.erase(at);
            }
        }
    }

    const DistanceMatrix<Real>& distances_;
    const Births<Real>& births_;
    std::map<BirthIndex, Column> columns_;
};

}  // namespace

template <class Real>
ZeroBars count_zero_bars(const DistanceMatrix<Real>& distances, const Births<Real>& births,
                         const Execution& execution) {
    if (births.size() == 0) return {};
    auto tied = make_buffer<RankedEdge<Real>>(execution.budget);
    if (!find_tied_edges(distances, births, kMostTiesPerPoint * distances.n, execution, tied)) return {false, 0};
    ZeroBars zero;
    for (auto low = tied.begin(); low != tied.end();) {
        const auto high =
            std::find_if(low, tied.end(), [&](const RankedEdge<Real>& edge) { return edge.key != low->key; });
        TieGroup<Real> group(distances, births);
        for (auto edge = low; edge != high; ++edge) {
            execution.check();
            group.add_cells_of(*edge);
        }
        zero.count += group.rank();
        low = high;
    }
    return zero;
}

template ZeroBars count_zero_bars(const DistanceMatrix<float>&, const Births<float>&, const Execution&);
template ZeroBars count_zero_bars(const DistanceMatrix<double>&, const Births<double>&, const Execution&);

}  // namespace adabet
