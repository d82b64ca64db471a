#include "adabet/rips/central_order.hpp"

#include <algorithm>
#include <numeric>

#include "adabet/rips/kernels.hpp"

namespace adabet {

namespace {

constexpr std::size_t kRowsPerCheck = 256;

}  // namespace

template <class Real>
Buffer<Vertex> central_order(const DistanceMatrix<Real>& distances, const Execution& execution) {
    const std::size_t n = distances.n;
    const RipsKernels<Real>& kernels = rips_kernels<Real>();
    auto remoteness = make_buffer<double>(execution.budget, n);
    for (std::size_t a = 0; a < n; ++a) {
        if (a % kRowsPerCheck == 0) execution.check();
        remoteness[a] = kernels.row_sum(distances.row(a), n);
    }
    auto order = make_buffer<Vertex>(execution.budget, n);
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](Vertex x, Vertex y) {
        const double dx = remoteness[static_cast<std::size_t>(x)];
        const double dy = remoteness[static_cast<std::size_t>(y)];
        return dx < dy || (dx == dy && x < y);
    });
    return order;
}

template Buffer<Vertex> central_order(const DistanceMatrix<float>&, const Execution&);
template Buffer<Vertex> central_order(const DistanceMatrix<double>&, const Execution&);

}  // namespace adabet
