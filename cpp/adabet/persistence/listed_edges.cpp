#include "adabet/persistence/listed_edges.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "adabet/errors.hpp"
#include "adabet/persistence/sparse_h1.hpp"
#include "adabet/rips/few_edges.hpp"

namespace adabet {

namespace {

/// Below this many points a matrix and bit rows are in the cache, and nothing is quicker.
constexpr std::size_t kFewestListedPoints = 1024;

/// Work per edge grows with the mean degree, that of bit rows does not.
std::size_t few(std::size_t n) {
    const auto points = static_cast<double>(n);
    return static_cast<std::size_t>(points * std::sqrt(points) / 2);
}

}  // namespace

template <class Real>
std::optional<Buffer<RankedEdge<Real>>> listed_edges(const Distances<Real>& distances, const Survey<Real>& survey,
                                                     const Window<Real>& window, PlanChoice choice, bool bits_fit,
                                                     const Execution& execution) {
    const std::size_t n = distances.n();
    const bool must = choice ? *choice == PlanKind::sparse : !bits_fit;
    if (!must && (choice || n < kFewestListedPoints)) return {};
    const auto bytes = [&](std::size_t edges) {
        return h1_of_edges_bytes(n, edges, sizeof(Real), execution.n_threads);
    };
    const std::size_t limit = execution.budget.limit();
    const std::size_t used = std::min(execution.budget.used(), limit);
    const std::size_t free = limit - used;
    const std::size_t that_fit = free > bytes(0) ? (free - bytes(0)) / (bytes(1) - bytes(0)) : 0;
    const std::size_t most = must ? that_fit : std::min(few(n), that_fit);
    const std::size_t estimate = estimated_edges(distances, window.longest, execution);
    if (estimate <= most) {
        auto edges = few_edges(distances, survey.bounds, window.longest, estimate, most, execution);
        if (edges) return edges;
    }
    if (must)
        throw BudgetExceeded(limit, used + bytes(std::max(estimate, most + 1)),
                             std::to_string(n) + " points and about " + std::to_string(estimate) +
                                 " edges up to the threshold (plan: sparse)");
    return {};
}

template std::optional<Buffer<RankedEdge<float>>> listed_edges(const Distances<float>&, const Survey<float>&,
                                                               const Window<float>&, PlanChoice, bool,
                                                               const Execution&);
template std::optional<Buffer<RankedEdge<double>>> listed_edges(const Distances<double>&, const Survey<double>&,
                                                                const Window<double>&, PlanChoice, bool,
                                                                const Execution&);

}  // namespace adabet
