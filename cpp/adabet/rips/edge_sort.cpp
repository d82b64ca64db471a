#include "adabet/rips/edge_sort.hpp"

#include <algorithm>
#include <bit>
#include <type_traits>

namespace adabet {

namespace {

constexpr unsigned kMostDigitBits = 12;
constexpr std::size_t kDigits = std::size_t{1} << kMostDigitBits;
/// Below this, std::sort is as fast.
constexpr std::size_t kFewestEdges = 512;
/// Below this, threads cost more than they bring.
constexpr std::size_t kThreadedEdges = std::size_t{1} << 16;
constexpr std::size_t kEdgesPerCheck = std::size_t{1} << 18;

/// Stable radix sort, the least digit first; the edges are cut into slices, one a task, whose digits are counted first.
template <class Real>
class RadixSort {
public:
    using Unsigned = std::make_unsigned_t<LengthKey<Real>>;

    RadixSort(Buffer<RankedEdge<Real>>& edges, Buffer<RankedEdge<Real>>& spare, const Execution& execution)
        : edges_(edges),
          spare_(spare),
          execution_(execution),
          slices_(edges.size() < kThreadedEdges ? 1 : static_cast<std::size_t>(std::max(1, execution.n_threads))),
          counts_(make_buffer<std::size_t>(execution.budget, slices_ * kDigits)) {}

    void run(LengthKey<Real> least, LengthKey<Real> most) {
        const auto width = static_cast<unsigned>(std::bit_width(static_cast<Unsigned>(most - least)));
        const unsigned passes = std::max(1U, (width + kMostDigitBits - 1) / kMostDigitBits);
        const unsigned bits = (width + passes - 1) / passes;
        for (unsigned shift = 0; shift < width; shift += bits) pass(least, shift, (std::size_t{1} << bits) - 1);
    }

private:
    void pass(LengthKey<Real> least, unsigned shift, std::size_t mask) {
        const auto digit = [&](const RankedEdge<Real>& edge) {
            return static_cast<std::size_t>(static_cast<Unsigned>(edge.key - least) >> shift) & mask;
        };
        for_each_slice([&](std::size_t slice, const Execution& own) {
            std::size_t* const counts = counts_.data() + slice * kDigits;
            std::fill_n(counts, mask + 1, std::size_t{0});
            for_each_edge(slice, own, [&](const RankedEdge<Real>& edge) { ++counts[digit(edge)]; });
        });
        std::size_t sum = 0;
        for (std::size_t d = 0; d <= mask; ++d) {
            for (std::size_t slice = 0; slice < slices_; ++slice) {
                const std::size_t count = counts_[slice * kDigits + d];
                counts_[slice * kDigits + d] = sum;
                sum += count;
            }
        }
        for_each_slice([&](std::size_t slice, const Execution& own) {
            std::size_t* const next = counts_.data() + slice * kDigits;
            for_each_edge(slice, own, [&](const RankedEdge<Real>& edge) { spare_[next[digit(edge)]++] = edge; });
        });
        edges_.swap(spare_);
    }
    template <class Body>
    void for_each_slice(const Body& body) {
        if (slices_ == 1) return body(0, execution_);
        parallel_for(execution_, slices_,
                     [&](std::size_t slice, int /*worker*/, const Execution& own) { body(slice, own); });
    }
    template <class Body>
    void for_each_edge(std::size_t slice, const Execution& own, const Body& body) const {
        const std::size_t last = edges_.size() * (slice + 1) / slices_;
        for (std::size_t begin = edges_.size() * slice / slices_; begin < last; begin += kEdgesPerCheck) {
            own.check();
            const std::size_t end = std::min(last, begin + kEdgesPerCheck);
            for (std::size_t i = begin; i < end; ++i) body(edges_[i]);
        }
    }

    Buffer<RankedEdge<Real>>& edges_;
    Buffer<RankedEdge<Real>>& spare_;
    const Execution& execution_;
    std::size_t slices_;
    Buffer<std::size_t> counts_;
};

}  // namespace

template <class Real>
void sort_by_length(Buffer<RankedEdge<Real>>& edges, Buffer<RankedEdge<Real>>& spare, const Execution& execution) {
    if (edges.size() < kFewestEdges) {
        std::sort(edges.begin(), edges.end());
        return;
    }
    LengthKey<Real> least = edges.front().key;
    LengthKey<Real> most = least;
    for (std::size_t i = 0; i < edges.size(); ++i) {
        if (i % kEdgesPerCheck == 0) execution.check();
        least = std::min(least, edges[i].key);
        most = std::max(most, edges[i].key);
    }
    if (least < most) RadixSort<Real>(edges, spare, execution).run(least, most);
}

template void sort_by_length(Buffer<RankedEdge<float>>&, Buffer<RankedEdge<float>>&, const Execution&);
template void sort_by_length(Buffer<RankedEdge<double>>&, Buffer<RankedEdge<double>>&, const Execution&);

}  // namespace adabet
