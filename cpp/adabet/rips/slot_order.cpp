#include "adabet/rips/slot_order.hpp"

#include <algorithm>
#include <numeric>

#include "adabet/rips/kernels.hpp"

namespace adabet {

namespace {

constexpr std::size_t kSampledPairs = 1024;

/// Whether a good part of the pairs of groups is settled by their bounds.
template <class Real>
bool is_local(const BlockBounds<Real>& bounds) {
    if (!bounds.known()) return false;
    const RipsKernels<Real>& kernels = rips_kernels<Real>();
    std::size_t settled = 0;
    for (std::size_t k = 0; k < kSampledPairs; ++k) {
        const std::size_t a = k * 7919 % bounds.groups();
        const std::size_t b = k * 104'729 % bounds.groups();
        settled += kernels.any_both_below(bounds.most(a), bounds.most(b), bounds.groups(), bounds.least(a)[b]) ? 1 : 0;
    }
    return 4 * settled > kSampledPairs;
}

}  // namespace

template <class Real>
Buffer<Vertex> slot_order(const Survey<Real>& survey, std::size_t n, const Execution& execution) {
    auto order = make_buffer<Vertex>(execution.budget, n);
    std::iota(order.begin(), order.end(), 0);
    if (is_local(survey.bounds)) return order;
    std::sort(order.begin(), order.end(), [&](Vertex x, Vertex y) {
        const double dx = survey.remoteness[static_cast<std::size_t>(x)];
        const double dy = survey.remoteness[static_cast<std::size_t>(y)];
        return dx < dy || (dx == dy && x < y);
    });
    return order;
}

template Buffer<Vertex> slot_order(const Survey<float>&, std::size_t, const Execution&);
template Buffer<Vertex> slot_order(const Survey<double>&, std::size_t, const Execution&);

}  // namespace adabet
