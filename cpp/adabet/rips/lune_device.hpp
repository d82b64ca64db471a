#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "adabet/host_device.hpp"
#include "adabet/rips/length_key.hpp"

/// Lunes from a distance matrix in a device's memory, a warp an edge. No order is needed for that, and no graph: two
/// integer compares say whether a vertex lies in an edge's lune. A kernel is a struct, as on the floor below.
namespace adabet {

template <class Real>
struct DeviceMatrix {
    const Real* data;
    std::size_t n;
    std::size_t stride;

    [[nodiscard]] ADABET_DEVICE ADABET_INLINE LengthKey<Real> key(std::size_t i, std::size_t j) const {
        return length_key(data[i * stride + j]);
    }
};

/// An edge {a, b}, a < b, and what it takes to precede it.
template <class Real>
struct LuneTest {
    LengthKey<Real> key;
    Vertex a;
    Vertex b;

    /// Whether v with these edges to a and b lies in the lune: at equal lengths the ends decide.
    [[nodiscard]] ADABET_DEVICE ADABET_INLINE bool holds(Vertex v, LengthKey<Real> to_a, LengthKey<Real> to_b) const {
        return v != a && v != b && to_a < key + (v < b ? 1 : 0) && to_b < key + (v < a ? 1 : 0);
    }
    /// Whether {x, y} precedes the edge.
    [[nodiscard]] ADABET_DEVICE ADABET_INLINE bool follows(Vertex x, Vertex y, LengthKey<Real> length) const {
        const Vertex larger = x < y ? y : x;
        const Vertex smaller = x < y ? x : y;
        return length < key || (length == key && (larger < b || (larger == b && smaller < a)));
    }
};

/// The vertex of a lune whose longer edge is shortest: the best apex, and mostly one that is near to all of the lune.
template <class Real>
struct Nearest {
    LengthKey<Real> longer = std::numeric_limits<LengthKey<Real>>::max();
    Vertex vertex = -1;

    ADABET_DEVICE ADABET_INLINE void offer(LengthKey<Real> length, Vertex v) {
        if (length < longer ||
            (length == longer && static_cast<std::uint32_t>(v) < static_cast<std::uint32_t>(vertex))) {
            longer = length;
            vertex = v;
        }
    }
    /// The best of all lanes, in all lanes.
    template <class Thread>
    ADABET_DEVICE ADABET_INLINE void join_lanes(Thread& t) {
        for (unsigned distance = 16; distance > 0; distance /= 2)
            offer(t.from_lane_xor(longer, distance), t.from_lane_xor(vertex, distance));
    }
};

/// Least and largest key of each row, its diagonal and what is no edge left out of the least.
template <class Real>
struct RowRangeKernel {
    static constexpr unsigned threads = 256;
    static constexpr unsigned min_blocks = 1;

    DeviceMatrix<Real> matrix;
    LengthKey<Real>* least;
    LengthKey<Real>* most;

    [[nodiscard]] std::uint64_t blocks() const { return (matrix.n + threads / 32 - 1) / (threads / 32); }
    [[nodiscard]] static std::size_t shared_size() { return 0; }

    template <class Thread>
    ADABET_DEVICE void operator()(Thread& t) const {
        const std::size_t row = t.block() * (threads / 32) + t.warp();
        if (row >= matrix.n) return;
        LengthKey<Real> low = std::numeric_limits<LengthKey<Real>>::max();
        LengthKey<Real> high = 0;
        for (std::size_t v = t.lane(); v < matrix.n; v += 32) {
            const LengthKey<Real> key = matrix.key(row, v);
            high = key > high ? key : high;
            if (v != row && key < low) low = key;
        }
        for (unsigned distance = 16; distance > 0; distance /= 2) {
            const auto other_low = t.from_lane_xor(low, distance);
            const auto other_high = t.from_lane_xor(high, distance);
            low = other_low < low ? other_low : low;
            high = other_high > high ? other_high : high;
        }
        if (t.lane() == 0) {
            least[row] = low;
            most[row] = high;
        }
    }
};

/// Edges by length: counts[(key - low) >> shift] of those in [low, high].
template <class Real>
struct HistogramKernel {
    static constexpr unsigned threads = 256;
    static constexpr unsigned min_blocks = 1;
    static constexpr unsigned buckets = 4096;

    DeviceMatrix<Real> matrix;
    LengthKey<Real> low;
    LengthKey<Real> high;
    unsigned shift;
    std::uint64_t* counts;
    std::uint64_t n_blocks;

    [[nodiscard]] std::uint64_t blocks() const { return n_blocks; }
    [[nodiscard]] static std::size_t shared_size() { return buckets * sizeof(std::uint32_t); }

    template <class Thread>
    ADABET_DEVICE void operator()(Thread& t) const {
        auto* const mine = static_cast<std::uint32_t*>(t.shared());
        for (unsigned k = t.thread(); k < buckets; k += threads) mine[k] = 0;
        t.sync_block();
        // A block's rows hold fewer than 2^32 edges: n^2 / 2 over n_blocks of at least 32.
        for (std::size_t b = t.block(); b < matrix.n; b += n_blocks)
            for (std::size_t a = t.thread(); a < b; a += threads) {
                const LengthKey<Real> key = matrix.key(b, a);
                if (key >= low && key <= high) t.add_shared(&mine[static_cast<unsigned>((key - low) >> shift)], 1);
            }
        t.sync_block();
        for (unsigned k = t.thread(); k < buckets; k += threads)
            if (mine[k] != 0) t.add(&counts[k], mine[k]);
    }
};

/// A list that kernels append to, in any order; what does not fit is counted all the same.
template <class T>
struct DeviceList {
    T* items;
    std::uint64_t capacity;
    std::uint64_t* count;

    template <class Thread>
    ADABET_DEVICE ADABET_INLINE void push(Thread& t, const T& item) const {
        const std::uint64_t place = t.add(count, 1);
        if (place < capacity) items[place] = item;
    }
};

/// Finds the relative neighbourhood graph: a block takes rows; the nearest points of 32 parts of a row rule out nearly all
/// of its edges, and a warp looks at the lune of each that is left.
template <class Real>
struct NeighbourhoodKernel {
    static constexpr unsigned threads = 256;
    static constexpr unsigned min_blocks = 1;
    static constexpr unsigned witnesses = 32;

    DeviceMatrix<Real> matrix;
    LengthKey<Real> longest;
    DeviceList<RankedEdge<Real>> found;
    std::uint64_t n_blocks;

    struct Shared {
        LengthKey<Real> longer[threads];
        Vertex vertex[threads];
        Vertex waiting[threads];
        std::uint32_t n_waiting;
    };
    [[nodiscard]] std::uint64_t blocks() const { return n_blocks; }
    [[nodiscard]] static std::size_t shared_size() { return sizeof(Shared); }

    template <class Thread>
    ADABET_DEVICE void operator()(Thread& t) const {
        auto& shared = *static_cast<Shared*>(t.shared());
        for (std::size_t a = t.block(); a + 1 < matrix.n; a += n_blocks) {
            find_witnesses(t, shared, a);
            for (std::size_t first = a + 1; first < matrix.n; first += threads) {
                const std::size_t b = first + t.thread();
                if (b < matrix.n && matrix.key(a, b) <= longest && !is_ruled_out(shared, a, b))
                    shared.waiting[t.add_shared(&shared.n_waiting, 1)] = static_cast<Vertex>(b);
                t.sync_block();
                for (unsigned k = t.warp(); k < shared.n_waiting; k += threads / 32)
                    test(t, static_cast<Vertex>(a), shared.waiting[k]);
                t.sync_block();
                if (t.thread() == 0) shared.n_waiting = 0;
                t.sync_block();
            }
        }
    }

private:
    template <class Thread>
    ADABET_DEVICE ADABET_INLINE void find_witnesses(Thread& t, Shared& shared, std::size_t a) const {
        Nearest<Real> mine;
        for (std::size_t v = t.thread(); v < matrix.n; v += threads)
            if (v != a) mine.offer(matrix.key(a, v), static_cast<Vertex>(v));
        shared.longer[t.thread()] = mine.longer;
        shared.vertex[t.thread()] = mine.vertex;
        if (t.thread() == 0) shared.n_waiting = 0;
        t.sync_block();
        if (t.thread() < witnesses) {
            for (unsigned k = t.thread() + witnesses; k < threads; k += witnesses)
                if (shared.vertex[k] >= 0) mine.offer(shared.longer[k], shared.vertex[k]);
            shared.longer[t.thread()] = mine.longer;
            shared.vertex[t.thread()] = mine.vertex;
        }
        t.sync_block();
    }
    [[nodiscard]] ADABET_DEVICE ADABET_INLINE bool is_ruled_out(const Shared& shared, std::size_t a,
                                                                std::size_t b) const {
        const LuneTest<Real> edge{matrix.key(a, b), static_cast<Vertex>(a), static_cast<Vertex>(b)};
        for (unsigned k = 0; k < witnesses; ++k) {
            const Vertex v = shared.vertex[k];
            if (v < 0) continue;
            if (edge.holds(v, shared.longer[k], matrix.key(static_cast<std::size_t>(v), b))) return true;
        }
        return false;
    }
    template <class Thread>
    ADABET_DEVICE ADABET_INLINE void test(Thread& t, Vertex a, Vertex b) const {
        const LuneTest<Real> edge{matrix.key(static_cast<std::size_t>(a), static_cast<std::size_t>(b)), a, b};
        for (std::size_t first = 0; first < matrix.n; first += 32) {
            const std::size_t v = first + t.lane();
            const bool inside =
                v < matrix.n && edge.holds(static_cast<Vertex>(v), matrix.key(static_cast<std::size_t>(a), v),
                                           matrix.key(static_cast<std::size_t>(b), v));
            if (t.any(inside)) return;
        }
        if (t.lane() == 0) found.push(t, {edge.key, b, a});
    }
};

/// The apex of each of a list of edges.
template <class Real>
struct ApexKernel {
    static constexpr unsigned threads = 256;
    static constexpr unsigned min_blocks = 1;

    struct Found {
        LengthKey<Real> to_a;
        LengthKey<Real> to_b;
        LengthKey<Real> vertex;  ///< -1: the lune is empty. As wide as the rest, lest bytes be copied that nobody wrote
    };

    DeviceMatrix<Real> matrix;
    const RankedEdge<Real>* edges;
    std::uint64_t n_edges;
    Found* found;

    [[nodiscard]] std::uint64_t blocks() const { return (n_edges + threads / 32 - 1) / (threads / 32); }
    [[nodiscard]] static std::size_t shared_size() { return 0; }

    template <class Thread>
    ADABET_DEVICE void operator()(Thread& t) const {
        const std::uint64_t index = t.block() * (threads / 32) + t.warp();
        if (index >= n_edges) return;
        const LuneTest<Real> edge{edges[index].key, edges[index].a, edges[index].b};
        const auto a = static_cast<std::size_t>(edge.a);
        const auto b = static_cast<std::size_t>(edge.b);
        Nearest<Real> best;
        for (std::size_t v = t.lane(); v < matrix.n; v += 32) {
            const LengthKey<Real> to_a = matrix.key(a, v);
            const LengthKey<Real> to_b = matrix.key(b, v);
            if (edge.holds(static_cast<Vertex>(v), to_a, to_b))
                best.offer(to_a < to_b ? to_b : to_a, static_cast<Vertex>(v));
        }
        best.join_lanes(t);
        if (t.lane() != 0) return;
        const auto v = static_cast<std::size_t>(best.vertex < 0 ? edge.a : best.vertex);
        found[index] = {matrix.key(a, v), matrix.key(b, v), best.vertex};
    }
};

}  // namespace adabet
