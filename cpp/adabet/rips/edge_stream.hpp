#pragma once

#include <cstddef>
#include <utility>

#include "adabet/execution.hpp"
#include "adabet/rips/kernels.hpp"
#include "adabet/rips/survey.hpp"

namespace adabet {

/// The edges with length up to and including `longest`, in the order of the filtration, a batch at a time. A sample of the
/// lengths says where to cut; what turns out too large is cut again by a histogram. A batch never holds more than
/// `largest_batch` edges, so that memory does not follow n^2: a single length with more edges than that is cut by the
/// larger end.
template <class Real>
class EdgeStream {
public:
    EdgeStream(const Distances<Real>& distances, const BlockBounds<Real>& bounds, LengthKey<Real> longest,
               std::size_t first_batch, std::size_t largest_batch, const Execution& execution);

    /// Sorts the next batch into edges(); false when there is none left.
    bool next();
    [[nodiscard]] const Buffer<RankedEdge<Real>>& edges() const { return batch_; }
    [[nodiscard]] Buffer<RankedEdge<Real>> take_edges() { return std::move(batch_); }

    /// Bytes for batches of at most `largest_batch` edges.
    [[nodiscard]] static std::size_t bytes(std::size_t n, std::size_t largest_batch, bool resident, int n_threads);

private:
    using Key = LengthKey<Real>;

    /// Keys in [low, high] and, where these are equal, larger ends in [first_b, last_b].
    struct Stretch {
        Key low;
        Key high;
        std::size_t first_b;
        std::size_t last_b;
        std::size_t count;
    };

    [[nodiscard]] Stretch next_by_sample();
    bool take(const Stretch& stretch);
    void split_by_length(const Stretch& stretch);
    void split_by_larger_end(const Stretch& stretch);
    void push_merged(const Buffer<Stretch>& parts);
    bool collect(const Stretch& stretch, std::size_t capacity);
    bool collect_on_threads(const Stretch& stretch, std::size_t capacity);
    void sort();
    template <class Body>
    void for_each_piece(PointRange rows, const Stretch& stretch, DistanceReader<Real>& reader, const Body& body) const;
    void find_runs(PointRange rows, const Stretch& stretch, Buffer<PointRange>& runs) const;
    [[nodiscard]] std::size_t tile_entries() const;

    const Distances<Real>& distances_;
    const BlockBounds<Real>& bounds_;
    const Execution& execution_;
    const RipsKernels<Real>& kernels_ = rips_kernels<Real>();
    Key longest_;
    std::size_t target_;
    std::size_t largest_batch_;
    std::size_t n_pairs_;
    Buffer<Key> sample_;       ///< sorted; the lengths of some pairs, those beyond `longest` as well
    std::size_t sampled_ = 0;  ///< how far batches have come in it
    Key next_low_ = 0;
    bool done_ = false;
    Buffer<Stretch> pending_;  ///< what was cut by counting: a stack, the shortest lengths on top
    Buffer<RankedEdge<Real>> batch_;
    Buffer<RankedEdge<Real>> spare_;
};

}  // namespace adabet
