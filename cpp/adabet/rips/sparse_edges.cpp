#include "adabet/rips/sparse_edges.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <utility>

#include "adabet/metric/matrix_entries.hpp"
#include "adabet/rips/edge_sort.hpp"

namespace adabet {

namespace {

constexpr std::size_t kBlock = 4096;
constexpr std::size_t kVerticesPerTask = 2048;
constexpr std::size_t kComparisonsPerCheck = std::size_t{1} << 18;
constexpr Vertex kUpper = 0;
constexpr Vertex kLower = 1;
constexpr std::size_t kNoVertex = std::numeric_limits<std::size_t>::max();

/// Entries in buckets by their larger end; what is wrong with an entry, or with two of one pair, shows on the way.
template <class Real>
class Reader {
public:
    Reader(const SparseEntries& graph, const Execution& execution)
        : graph_(graph),
          execution_(execution),
          start_(make_buffer<std::size_t>(execution.budget, graph.n + 2, 0)),
          edges_(make_buffer<RankedEdge<Real>>(execution.budget)) {}

    SparseEdges<Real> read(Real threshold) {
        count_entries();
        fill_buckets();
        settle_buckets();
        const EnclosingRadius<Real> enclosing = compact(threshold);
        auto sorted = make_buffer<RankedEdge<Real>>(execution_.budget);
        if (edges_.capacity() > edges_.size() + edges_.size() / 8) {
            // Entries of both triangles: half of the room is not needed any more.
            sorted.assign(edges_.begin(), edges_.end());
            edges_ = make_buffer<RankedEdge<Real>>(execution_.budget, sorted.size());
        } else {
            sorted.resize(edges_.size());
            sorted.swap(edges_);
        }
        sort_by_length(sorted, edges_, execution_);
        return {std::move(sorted), enclosing};
    }

private:
    [[nodiscard]] std::size_t row(std::size_t k) const { return static_cast<std::size_t>(graph_.rows[k]); }
    [[nodiscard]] std::size_t column(std::size_t k) const { return static_cast<std::size_t>(graph_.columns[k]); }

    /// Calls body(k, length) for each entry.
    template <class Body>
    void for_each_entry(const Body& body) const {
        std::array<Real, kBlock> lengths;
        for (std::size_t first = 0; first < graph_.size(); first += kBlock) {
            if (first % (8 * kBlock) == 0) execution_.check();
            const std::size_t last = std::min(graph_.size(), first + kBlock);
            if (!cast_distances(graph_.lengths, 0, first, last, lengths.data())) refuse_lengths(first, last);
            for (std::size_t k = first; k < last; ++k) body(k, lengths[k - first]);
        }
    }
    void refuse_lengths(std::size_t first, std::size_t last) const {
        for (std::size_t k = first; k < last; ++k) {
            if (!graph_.is_inside(k)) throw_outside(graph_, k);
            if (!flaw_of<Real>(entry(graph_.lengths, 0, k)).empty()) throw_no_distance<Real>(graph_, k);
        }
    }

    void count_entries() {
        auto diagonal = make_buffer<std::uint64_t>(execution_.budget, graph_.n / 64 + 1, 0);
        for_each_entry([&](std::size_t k, Real length) {
            if (!graph_.is_inside(k)) throw_outside(graph_, k);
            const std::size_t i = row(k);
            const std::size_t j = column(k);
            if (i == j) {
                if (entry(graph_.lengths, 0, k) != 0) throw_off_diagonal(graph_, k);
                if ((diagonal[i / 64] >> (i % 64) & 1) != 0) throw_given_twice(i, i);
                diagonal[i / 64] |= std::uint64_t{1} << (i % 64);
                return;
            }
            has_triangle_[static_cast<std::size_t>(i < j ? kUpper : kLower)] = true;
            if (length < infinity<Real>) largest_ = std::max(largest_, length);
            ++start_[std::max(i, j) + 2];
        });
        for (std::size_t b = 2; b < start_.size(); ++b) start_[b] += start_[b - 1];
    }

    /// In a bucket the larger end is known: its place says instead which triangle the entry is from.
    void fill_buckets() {
        edges_.resize(start_.back());
        for_each_entry([&](std::size_t k, Real length) {
            const std::size_t i = row(k);
            const std::size_t j = column(k);
            if (i == j) return;
            edges_[start_[std::max(i, j) + 1]++] = {length_key(length), i < j ? kUpper : kLower,
                                                    static_cast<Vertex>(std::min(i, j))};
        });
    }

    /// Sorts each bucket by the smaller end and leaves one entry for each pair; "no edge" is dropped later.
    void settle_buckets() {
        kept_ = make_buffer<std::size_t>(execution_.budget, graph_.n);
        std::atomic<std::size_t> bad{kNoVertex};
        const std::size_t n_tasks = (graph_.n + kVerticesPerTask - 1) / kVerticesPerTask;
        parallel_for(execution_, n_tasks, [&](std::size_t task, int, const Execution& own) {
            const std::size_t last = std::min(graph_.n, (task + 1) * kVerticesPerTask);
            for (std::size_t b = task * kVerticesPerTask; b < last; ++b) {
                if (settle(b, own)) continue;
                std::size_t seen = bad.load();
                while (b < seen && !bad.compare_exchange_weak(seen, b)) {
                }
                return;
            }
        });
        if (bad.load() != kNoVertex) refuse_pair(bad.load());
    }

    static bool precedes(const RankedEdge<Real>& x, const RankedEdge<Real>& y) {
        return x.a < y.a || (x.a == y.a && x.b < y.b);
    }

    bool settle(std::size_t b, const Execution& own) {
        RankedEdge<Real>* const first = edges_.data() + start_[b];
        RankedEdge<Real>* const last = edges_.data() + start_[b + 1];
        if (!std::is_sorted(first, last, precedes)) {
            std::size_t compared = 0;
            std::sort(first, last, [&](const RankedEdge<Real>& x, const RankedEdge<Real>& y) {
                if (++compared % kComparisonsPerCheck == 0) own.check();
                return precedes(x, y);
            });
        }
        RankedEdge<Real>* out = first;
        for (const RankedEdge<Real>* it = first; it != last;) {
            const RankedEdge<Real>* const next = std::find_if(it, static_cast<const RankedEdge<Real>*>(last),
                                                              [it](const auto& other) { return other.a != it->a; });
            if (!agree(it, next)) return false;
            *out++ = *it;
            it = next;
        }
        kept_[b] = static_cast<std::size_t>(out - first);
        return true;
    }

    /// Entries [first, last) name one pair.
    [[nodiscard]] bool agree(const RankedEdge<Real>* first, const RankedEdge<Real>* last) const {
        if (last - first > 2 || (last - first == 2 && first[0].b == first[1].b)) return false;
        if (!has_triangle_[0] || !has_triangle_[1]) return true;
        const Real other = last - first == 2 ? first[1].length() : infinity<Real>;
        return SymmetryTolerance<Real>(graph_.lengths.scalar, static_cast<double>(largest_))
            .allows(static_cast<double>(first->length()), static_cast<double>(other));
    }

    /// Throws for the first bad pair of a bucket. Pairs before it may have been moved, those from it on were not.
    [[noreturn]] void refuse_pair(std::size_t b) {
        constexpr double missing = std::numeric_limits<double>::quiet_NaN();
        std::array<double, 2> given{missing, missing};
        const auto bucket_end = edges_.data() + start_[b + 1];
        RankedEdge<Real>* it = bucket_end;
        // Bad pairs were never moved, so the last one of the bucket is found from the end.
        while (it != edges_.data() + start_[b]) {
            RankedEdge<Real>* const next = it;
            do --it;
            while (it != edges_.data() + start_[b] && (it - 1)->a == it->a);
            if (!agree(it, next)) break;
        }
        const auto a = static_cast<std::size_t>(it->a);
        for (const RankedEdge<Real>* same = it; same != bucket_end && same->a == it->a; ++same) {
            double& place = given[static_cast<std::size_t>(same->b)];
            if (!std::isnan(place)) {
                if (same->b == kUpper) throw_given_twice(a, b);
                throw_given_twice(b, a);
            }
            place = static_cast<double>(same->length());
        }
        throw_disagreement(a, b, given[kUpper], given[kLower]);
    }

    /// Moves what the buckets keep together, up to the threshold; the edges come by (larger end, smaller end).
    EnclosingRadius<Real> compact(Real threshold) {
        const std::size_t n = graph_.n;
        auto degrees = make_buffer<Vertex>(execution_.budget, n, 0);
        const auto for_each_edge = [&](const auto& body) {
            for (std::size_t b = 0; b < n; ++b) {
                if (b % kVerticesPerTask == 0) execution_.check();
                for (std::size_t i = start_[b]; i < start_[b] + kept_[b]; ++i)
                    if (edges_[i].key <= longest_finite_key<Real>) body(edges_[i], b);
            }
        };
        for_each_edge([&](const RankedEdge<Real>& edge, std::size_t b) {
            ++degrees[static_cast<std::size_t>(edge.a)];
            ++degrees[b];
        });
        const EnclosingRadius<Real> enclosing = radius(degrees, for_each_edge);
        const LengthKey<Real> longest = length_key(threshold + Real{0});
        std::size_t kept = 0;
        for_each_edge([&](const RankedEdge<Real>& edge, std::size_t b) {
            if (edge.key > longest) return;
            edges_[kept++] = {edge.key, static_cast<Vertex>(b), edge.a};
        });
        edges_.resize(kept);
        return enclosing;
    }

    /// The centre is the first of those vertices, joined to all others, whose farthest neighbour is nearest.
    template <class ForEachEdge>
    EnclosingRadius<Real> radius(const Buffer<Vertex>& degrees, const ForEachEdge& for_each_edge) const {
        const std::size_t n = graph_.n;
        if (n < 2) return {};
        const auto is_hub = [&](std::size_t v) { return static_cast<std::size_t>(degrees[v]) == n - 1; };
        std::size_t hubs = 0;
        for (std::size_t v = 0; v < n; ++v) hubs += is_hub(v) ? 1 : 0;
        if (hubs == 0) return {};
        auto farthest = make_buffer<LengthKey<Real>>(execution_.budget, n, 0);
        for_each_edge([&](const RankedEdge<Real>& edge, std::size_t b) {
            for (const std::size_t v : {static_cast<std::size_t>(edge.a), b})
                farthest[v] = std::max(farthest[v], edge.key);
        });
        std::size_t centre = n;
        for (std::size_t v = 0; v < n; ++v)
            if (is_hub(v) && (centre == n || farthest[v] < farthest[centre])) centre = v;
        EnclosingRadius<Real> enclosing{length_of<Real>(farthest[centre]), {}};
        for_each_edge([&](const RankedEdge<Real>& edge, std::size_t b) {
            const bool meets = b == centre || static_cast<std::size_t>(edge.a) == centre;
            if (!meets || edge.key != farthest[centre] || enclosing.edge.a >= 0) return;
            enclosing.edge = {edge.a, static_cast<Vertex>(b)};
        });
        return enclosing;
    }

    const SparseEntries& graph_;
    const Execution& execution_;
    std::array<bool, 2> has_triangle_{};  ///< upper, lower
    Real largest_ = 0;
    Buffer<std::size_t> start_;  ///< bucket b: [start_[b], start_[b + 1]), once filled
    Buffer<std::size_t> kept_ = make_buffer<std::size_t>(execution_.budget);
    Buffer<RankedEdge<Real>> edges_;
};

}  // namespace

template <class Real>
SparseEdges<Real> read_edges(const SparseEntries& graph, Real threshold, const Execution& execution) {
    return Reader<Real>(graph, execution).read(threshold);
}

std::size_t read_edges_bytes(std::size_t n, std::size_t n_entries, std::size_t n_edges, std::size_t real_size) {
    const std::size_t edge = real_size + 2 * sizeof(Vertex);
    return (n_entries + n_edges) * edge + 2 * n * sizeof(std::size_t);
}

template SparseEdges<float> read_edges(const SparseEntries&, float, const Execution&);
template SparseEdges<double> read_edges(const SparseEntries&, double, const Execution&);

}  // namespace adabet
