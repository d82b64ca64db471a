#pragma once

#include "adabet/rips/lune_device.hpp"

// Offsets within a block's own tile are 32-bit on purpose: registers are short.
// NOLINTBEGIN(bugprone-implicit-widening-of-multiplication-result)
namespace adabet {

/// One component of the lune of a critical edge, by one of its vertices and the keys of that one's edges to the ends.
template <class Real>
struct CriticalRecord {
    RankedEdge<Real> edge;
    Vertex component;  ///< 0, 1, ...
    Vertex vertex;
    LengthKey<Real> to_a;
    LengthKey<Real> to_b;
};

/// Finds the edges with keys in [low, high] whose lune has two components or more: rows are handed out to blocks, edges to
/// warps; a lune is a set of bits, searched from its most central vertex.
template <class Real>
struct CriticalKernel {
    static constexpr unsigned threads = 128;
    static constexpr unsigned min_blocks = 1;
    static constexpr unsigned warps = threads / 32;
    static constexpr std::size_t most_shared = 48U * 1024U;

    DeviceMatrix<Real> matrix;
    LengthKey<Real> low;
    LengthKey<Real> high;
    DeviceList<CriticalRecord<Real>> found;
    std::uint32_t* bits;  ///< two sets for each warp of the grid; null where they fit in shared memory
    std::uint64_t n_blocks;

    struct Queue {
        Vertex waiting[threads];
        std::uint32_t count;
        std::uint32_t padding[3];
    };
    [[nodiscard]] ADABET_HOST_DEVICE static constexpr std::size_t words(std::size_t n) {
        return (n + 1023) / 1024 * 32;  // whole strips of 32 words
    }
    [[nodiscard]] static bool fits_shared(std::size_t n) {
        return sizeof(Queue) + warps * 2 * words(n) * sizeof(std::uint32_t) <= most_shared;
    }
    [[nodiscard]] std::uint64_t blocks() const { return n_blocks; }
    [[nodiscard]] std::size_t shared_size() const {
        return sizeof(Queue) + (bits == nullptr ? warps * 2 * words(matrix.n) * sizeof(std::uint32_t) : 0);
    }

    template <class Thread>
    ADABET_DEVICE void operator()(Thread& t) const {
        auto& queue = *static_cast<Queue*>(t.shared());
        const std::size_t n_words = words(matrix.n);
        auto* const in_shared =
            reinterpret_cast<std::uint32_t*>(static_cast<unsigned char*>(t.shared()) + sizeof(Queue));
        std::uint32_t* const unvisited =
            bits == nullptr ? in_shared + t.warp() * 2 * n_words : bits + (t.block() * warps + t.warp()) * 2 * n_words;
        const Sets sets{unvisited, unvisited + n_words, n_words};
        if (t.thread() == 0) queue.count = 0;
        t.sync_block();
        for (std::size_t b = matrix.n - 1 - t.block(); b < matrix.n; b -= n_blocks) {  // long rows first
            for (std::size_t first = 0; first < b; first += threads) {
                const std::size_t a = first + t.thread();
                const LengthKey<Real> key = a < b ? matrix.key(b, a) : -1;
                if (key >= low && key <= high) queue.waiting[t.add_shared(&queue.count, 1)] = static_cast<Vertex>(a);
                t.sync_block();
                for (unsigned k = t.warp(); k < queue.count; k += warps)
                    classify(t,
                             {matrix.key(b, static_cast<std::size_t>(queue.waiting[k])), queue.waiting[k],
                              static_cast<Vertex>(b)},
                             sets);
                t.sync_block();
                if (t.thread() == 0) queue.count = 0;
                t.sync_block();
            }
        }
    }

private:
    using Test = LuneTest<Real>;

    /// A warp's two sets of vertices.
    struct Sets {
        std::uint32_t* unvisited;
        std::uint32_t* frontier;
        std::size_t words;
    };

    template <class Thread>
    ADABET_DEVICE void classify(Thread& t, const Test& edge, const Sets& sets) const {
        const Vertex first = find_lune(t, edge, sets);
        if (first < 0) return;  // an edge of the relative neighbourhood graph
        if (t.lane() == 0) sets.unvisited[first / 32] &= ~(1U << (static_cast<unsigned>(first) % 32));
        t.sync_warp();
        if (!visit_component(t, edge, sets, first)) return;
        record(t, edge, 0, first);
        for (Vertex component = 1;; ++component) {
            const Vertex start = take_lowest(t, sets.unvisited, sets.words);
            if (start < 0) return;
            record(t, edge, component, start);
            if (!visit_component(t, edge, sets, start)) return;
        }
    }

    /// Sets the lune's bits and clears the frontier; returns its most central vertex, -1 where it is empty.
    template <class Thread>
    ADABET_DEVICE ADABET_INLINE Vertex find_lune(Thread& t, const Test& edge, const Sets& sets) const {
        const auto a = static_cast<std::size_t>(edge.a);
        const auto b = static_cast<std::size_t>(edge.b);
        Nearest<Real> best;
        for (std::size_t strip = 0; strip < sets.words; strip += 32) {
            std::uint32_t mine = 0;  // lane k keeps word strip + k
            for (unsigned w = 0; w < 32; ++w) {
                const std::size_t v = (strip + w) * 32 + t.lane();
                bool inside = false;
                if (v < matrix.n) {
                    const LengthKey<Real> to_a = matrix.key(a, v);
                    const LengthKey<Real> to_b = matrix.key(b, v);
                    inside = edge.holds(static_cast<Vertex>(v), to_a, to_b);
                    if (inside) best.offer(to_a < to_b ? to_b : to_a, static_cast<Vertex>(v));
                }
                const std::uint32_t word = t.ballot(inside);
                if (t.lane() == w) mine = word;
            }
            sets.unvisited[strip + t.lane()] = mine;
            sets.frontier[strip + t.lane()] = 0;
        }
        best.join_lanes(t);
        t.sync_warp();
        return best.vertex;
    }

    /// Visits all that can be reached from a vertex; whether anything is left unvisited.
    template <class Thread>
    ADABET_DEVICE ADABET_INLINE bool visit_component(Thread& t, const Test& edge, const Sets& sets, Vertex v) const {
        for (;;) {
            if (!visit_neighbours(t, edge, sets, v)) return false;
            v = take_lowest(t, sets.frontier, sets.words);
            if (v < 0) return true;
        }
    }
    template <class Thread>
    ADABET_DEVICE ADABET_INLINE bool visit_neighbours(Thread& t, const Test& edge, const Sets& sets, Vertex v) const {
        std::uint32_t left = 0;
        for (std::size_t strip = 0; strip < sets.words; strip += 32) {
            std::uint32_t mine = sets.unvisited[strip + t.lane()];
            std::uint32_t hits = 0;
            for (std::uint32_t waiting = t.ballot(mine != 0); waiting != 0; waiting &= waiting - 1) {
                const unsigned w = t.lowest_bit(waiting);
                const std::uint32_t word = t.from_lane(mine, w);
                const std::size_t u = (strip + w) * 32 + t.lane();
                const bool near = (word >> t.lane() & 1U) != 0 &&
                                  edge.follows(v, static_cast<Vertex>(u), matrix.key(static_cast<std::size_t>(v), u));
                const std::uint32_t hit = t.ballot(near);
                if (t.lane() == w) hits = hit;
            }
            if (hits != 0) {
                mine &= ~hits;
                sets.unvisited[strip + t.lane()] = mine;
                sets.frontier[strip + t.lane()] |= hits;
            }
            left |= mine;
        }
        t.sync_warp();
        return t.any(left != 0);
    }
    /// Takes the lowest vertex out of a set; -1 where it is empty.
    template <class Thread>
    ADABET_DEVICE ADABET_INLINE static Vertex take_lowest(Thread& t, std::uint32_t* set, std::size_t words) {
        for (std::size_t strip = 0; strip < words; strip += 32) {
            const std::uint32_t mine = set[strip + t.lane()];
            const std::uint32_t holding = t.ballot(mine != 0);
            if (holding == 0) continue;
            const unsigned w = t.lowest_bit(holding);
            const std::uint32_t word = t.from_lane(mine, w);
            if (t.lane() == w) set[strip + w] = word & (word - 1);
            t.sync_warp();
            return static_cast<Vertex>((strip + w) * 32 + t.lowest_bit(word));
        }
        return -1;
    }
    template <class Thread>
    ADABET_DEVICE ADABET_INLINE void record(Thread& t, const Test& edge, Vertex component, Vertex v) const {
        if (t.lane() != 0) return;
        const auto at = static_cast<std::size_t>(v);
        found.push(t, {{edge.key, edge.b, edge.a},
                       component,
                       v,
                       matrix.key(static_cast<std::size_t>(edge.a), at),
                       matrix.key(static_cast<std::size_t>(edge.b), at)});
    }
};

}  // namespace adabet
// NOLINTEND(bugprone-implicit-widening-of-multiplication-result)
