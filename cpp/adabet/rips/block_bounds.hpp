#pragma once

#include <algorithm>
#include <cstddef>

#include "adabet/memory_budget.hpp"
#include "adabet/metric/distance_tiles.hpp"
#include "adabet/rips/length_key.hpp"

namespace adabet {

/// The shortest and the longest distance between any two groups of consecutive points. Where near points have near
/// numbers, most pairs of groups are settled by these two alone.
template <class Real>
class BlockBounds {
public:
    using Key = LengthKey<Real>;

    /// No groups: nothing is known.
    explicit BlockBounds(MemoryBudget& budget) : least_(make_buffer<Key>(budget)), most_(make_buffer<Key>(budget)) {}
    BlockBounds(std::size_t n, MemoryBudget& budget)
        : n_(n),
          group_(group_size(n)),
          groups_((n + group_ - 1) / group_),
          least_(make_buffer<Key>(budget, groups_ * groups_)),
          most_(make_buffer<Key>(budget, groups_ * groups_)) {}

    /// About a thousand groups: looking for one that settles a pair costs the cube of their number.
    [[nodiscard]] static std::size_t group_size(std::size_t n) { return n <= 16'384 ? 16 : n <= 131'072 ? 32 : 64; }
    [[nodiscard]] static std::size_t bytes(std::size_t n) {
        const std::size_t groups = (n + group_size(n) - 1) / group_size(n);
        return 2 * groups * groups * sizeof(Key);
    }

    [[nodiscard]] bool known() const { return groups_ > 0; }
    [[nodiscard]] std::size_t groups() const { return groups_; }
    [[nodiscard]] std::size_t group() const { return group_; }
    [[nodiscard]] std::size_t group_of(std::size_t point) const { return point / group_; }
    [[nodiscard]] PointRange points(std::size_t group) const {
        return {group * group_, std::min(n_, (group + 1) * group_)};
    }

    [[nodiscard]] const Key* least(std::size_t group) const { return least_.data() + group * groups_; }
    [[nodiscard]] const Key* most(std::size_t group) const { return most_.data() + group * groups_; }
    void set(std::size_t a, std::size_t b, Key least, Key most) {
        least_[a * groups_ + b] = least;
        most_[a * groups_ + b] = most;
    }

private:
    std::size_t n_ = 0;
    std::size_t group_ = 1;
    std::size_t groups_ = 0;
    Buffer<Key> least_;
    Buffer<Key> most_;
};

}  // namespace adabet
