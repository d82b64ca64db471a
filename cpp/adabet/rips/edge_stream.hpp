#pragma once

#include <cstddef>

#include "adabet/execution.hpp"
#include "adabet/rips/kernels.hpp"

namespace adabet {

/// The edges of a distance matrix with length up to and including `longest`, in the order of the filtration, a batch at a
/// time. A histogram of lengths says where to cut; a batch never holds more than `largest_batch` edges, so that memory
/// does not follow n^2: a single length with more edges than that is cut by the larger end.
template <class Real>
class EdgeStream {
public:
    EdgeStream(const DistanceMatrix<Real>& distances, LengthKey<Real> longest, std::size_t first_batch,
               std::size_t largest_batch, const Execution& execution);

    /// Sorts the next batch into edges(); false when there is none left.
    bool next();
    [[nodiscard]] const Buffer<RankedEdge<Real>>& edges() const { return batch_; }

    /// Bytes for batches of at most `largest_batch` edges.
    [[nodiscard]] static std::size_t bytes(std::size_t largest_batch);

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

    void split_by_length(const Stretch& stretch);
    void split_by_larger_end(const Stretch& stretch);
    void push_merged(const Buffer<Stretch>& parts);
    void collect(const Stretch& stretch);
    void sort(Key low, Key high);
    template <class Body>
    void for_each_edge(const Body& body) const;

    const DistanceMatrix<Real>& distances_;
    const Execution& execution_;
    const RipsKernels<Real>& kernels_ = rips_kernels<Real>();
    std::size_t target_;
    std::size_t largest_batch_;
    Buffer<Stretch> pending_;  ///< a stack: the shortest lengths on top
    Buffer<RankedEdge<Real>> batch_;
    Buffer<RankedEdge<Real>> spare_;
};

}  // namespace adabet
