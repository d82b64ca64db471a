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
/// Where distances are far away: no more tied edges, nor vertices in the lune of one. A row is fetched for each of these.
constexpr std::size_t kMostFarTies = 1024;
constexpr std::size_t kMostFarLune = 16;

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

/// Finds every edge whose length gives birth and that shares an end with another edge of that length.
template <class Real>
class TiedEdges {
public:
    TiedEdges(const Distances<Real>& distances, const BlockBounds<Real>& bounds, const Births<Real>& births,
              const Execution& execution)
        : distances_(distances),
          bounds_(bounds),
          births_(births),
          execution_(execution),
          filter_(births.edges(), execution.budget),
          reader_(distances, kRows * std::min(kTileColumns, distances.n()), execution.budget),
          hits_(make_buffer<Hit>(execution.budget)),
          tied_(make_buffer<RankedEdge<Real>>(execution.budget)) {}

    /// In order, each once. False where there are more than `most`.
    bool find(std::size_t most) {
        for (std::size_t begin = 0; begin < distances_.n(); begin += kRows) {
            execution_.check();
            hits_.clear();
            look_at({begin, std::min(distances_.n(), begin + kRows)});
            keep_tied();
            if (tied_.size() > 2 * most) return false;
        }
        std::sort(tied_.begin(), tied_.end());
        tied_.erase(std::unique(tied_.begin(), tied_.end()), tied_.end());
        return tied_.size() <= most;
    }
    [[nodiscard]] const Buffer<RankedEdge<Real>>& edges() const { return tied_; }

private:
    static constexpr std::size_t kRows = 64;
    static constexpr std::size_t kTileColumns = 2048;

    /// An entry whose length may be one that gives birth.
    struct Hit {
        std::size_t row;
        LengthKey<Real> key;
        Vertex v;
        friend auto operator<=>(const Hit&, const Hit&) = default;
    };

    void look_at(PointRange rows) {
        const auto longest = births_.edges().back().key;
        const std::size_t width = distances_.is_resident() ? distances_.n() : kTileColumns;
        for (std::size_t begin = 0; begin < distances_.n(); begin += width) {
            const PointRange columns{begin, std::min(distances_.n(), begin + width)};
            if (!distances_.is_resident() && are_far(rows, columns, longest)) continue;
            const Tile<Real> tile = reader_.tile(rows, columns);
            for (std::size_t a = rows.begin; a < rows.end; ++a) {
                const Real* const row = tile.row(a - rows.begin);
                for (std::size_t v = 0; v < columns.size(); ++v) {
                    const auto key = length_key(row[v]);
                    // All three at once: half of the lengths are below the longest, in no order.
                    const bool is_hit = (key <= longest) & (begin + v != a) & filter_.may_contain(key);
                    if (is_hit) hits_.push_back({a, key, static_cast<Vertex>(begin + v)});
                }
            }
        }
    }
    [[nodiscard]] bool are_far(PointRange rows, PointRange columns, LengthKey<Real> longest) const {
        if (!bounds_.known()) return false;
        for (std::size_t r = bounds_.group_of(rows.begin); r <= bounds_.group_of(rows.end - 1); ++r)
            for (std::size_t c = bounds_.group_of(columns.begin); c <= bounds_.group_of(columns.end - 1); ++c)
                if (bounds_.least(r)[c] <= longest) return false;
        return true;
    }
    void keep_tied() {
        std::sort(hits_.begin(), hits_.end());
        for (auto low = hits_.begin(); low != hits_.end();) {
            const auto high = std::find_if(low, hits_.end(),
                                           [&](const Hit& hit) { return hit.row != low->row || hit.key != low->key; });
            if (high - low > 1 && gives_birth(low->key))
                for (auto hit = low; hit != high; ++hit) {
                    const auto a = static_cast<Vertex>(hit->row);
                    tied_.push_back({hit->key, std::max(a, hit->v), std::min(a, hit->v)});
                }
            low = high;
        }
    }
    [[nodiscard]] bool gives_birth(LengthKey<Real> key) const {
        const auto at = std::lower_bound(births_.edges().begin(), births_.edges().end(), key,
                                         [](const RankedEdge<Real>& edge, LengthKey<Real> k) { return edge.key < k; });
        return at != births_.edges().end() && at->key == key;
    }

    const Distances<Real>& distances_;
    const BlockBounds<Real>& bounds_;
    const Births<Real>& births_;
    const Execution& execution_;
    LengthFilter<Real> filter_;
    DistanceReader<Real> reader_;
    Buffer<Hit> hits_;
    Buffer<RankedEdge<Real>> tied_;
};

/// The columns of one length, restricted to the births of that length.
template <class Real>
class TieGroup {
public:
    TieGroup(const DistanceReader<Real>& distances, const Births<Real>& births, std::size_t n, std::size_t most_lune)
        : distances_(distances), births_(births), n_(n), most_lune_(most_lune) {}

    /// False where the lune has more vertices than are wanted.
    bool add_cells_of(const RankedEdge<Real>& edge) {
        std::vector<Vertex> vertices = lune(edge);
        if (vertices.size() > most_lune_) return false;
        const std::vector<Vertex> representatives = component_representatives(edge, std::move(vertices));
        for (std::size_t i = 1; i < representatives.size(); ++i) {
            std::set<RankedEdge<Real>> chain;
            for (const Vertex end : {edge.a, edge.b}) {
                toggle(chain, end, representatives[0], edge.key);
                toggle(chain, end, representatives[i], edge.key);
            }
            reduce(flow(std::move(chain), edge.key));
        }
        return true;
    }
    [[nodiscard]] std::size_t rank() const { return columns_.size(); }

private:
    using Column = std::set<BirthIndex>;

    [[nodiscard]] std::vector<Vertex> lune(const RankedEdge<Real>& edge) const {
        std::vector<Vertex> vertices;
        for (Vertex v = 0; static_cast<std::size_t>(v) < n_; ++v) {
            if (v != edge.a && v != edge.b && distances_.edge(edge.a, v) < edge && distances_.edge(edge.b, v) < edge)
                vertices.push_back(v);
        }
        return vertices;
    }

    /// One vertex for each component of the graph that earlier edges induce on the lune.
    [[nodiscard]] std::vector<Vertex> component_representatives(const RankedEdge<Real>& edge,
                                                                std::vector<Vertex> unvisited) const {
        std::vector<Vertex> representatives;
        while (!unvisited.empty()) {
            std::vector<Vertex> frontier{unvisited.back()};
            representatives.push_back(unvisited.back());
            unvisited.pop_back();
            while (!frontier.empty() && !unvisited.empty()) {
                const Vertex v = frontier.back();
                frontier.pop_back();
                const auto reached = std::partition(unvisited.begin(), unvisited.end(),
                                                    [&](Vertex u) { return !(distances_.edge(u, v) < edge); });
                frontier.insert(frontier.end(), reached, unvisited.end());
                unvisited.erase(reached, unvisited.end());
            }
        }
        return representatives;
    }

    void toggle(std::set<RankedEdge<Real>>& chain, Vertex x, Vertex y, LengthKey<Real> key) const {
        const RankedEdge<Real> edge = distances_.edge(x, y);
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
            return std::max(distances_.edge(edge.a, z), distances_.edge(edge.b, z)).key;
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

    const DistanceReader<Real>& distances_;
    const Births<Real>& births_;
    std::size_t n_;
    std::size_t most_lune_;
    std::map<BirthIndex, Column> columns_;
};

}  // namespace

template <class Real>
ZeroBars count_zero_bars(const Distances<Real>& distances, const BlockBounds<Real>& bounds, const Births<Real>& births,
                         const Execution& execution) {
    if (births.size() == 0) return {};
    TiedEdges<Real> tied(distances, bounds, births, execution);
    const bool far = distances.are_far();
    const std::size_t most = kMostTiesPerPoint * distances.n();
    if (!tied.find(far ? std::min(most, kMostFarTies) : most)) return {false, 0};
    const DistanceReader<Real> reader(distances, 0, execution.budget);
    const auto end = tied.edges().end();
    ZeroBars zero;
    for (auto low = tied.edges().begin(); low != end;) {
        const auto high = std::find_if(low, end, [&](const RankedEdge<Real>& edge) { return edge.key != low->key; });
        TieGroup<Real> group(reader, births, distances.n(), far ? kMostFarLune : distances.n());
        for (auto edge = low; edge != high; ++edge) {
            execution.check();
            if (!group.add_cells_of(*edge)) return {false, 0};
        }
        zero.count += group.rank();
        low = high;
    }
    return zero;
}

template ZeroBars count_zero_bars(const Distances<float>&, const BlockBounds<float>&, const Births<float>&,
                                  const Execution&);
template ZeroBars count_zero_bars(const Distances<double>&, const BlockBounds<double>&, const Births<double>&,
                                  const Execution&);

}  // namespace adabet
