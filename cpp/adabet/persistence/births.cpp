#include "adabet/persistence/births.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "adabet/persistence/components.hpp"

namespace adabet {

template <class Real>
Births<Real>::Births(const Buffer<RankedEdge<Real>>& graph, std::size_t n, LengthKey<Real> longest,
                     MemoryBudget& budget)
    : edges_(make_buffer<RankedEdge<Real>>(budget)),
      merges_(make_buffer<Real>(budget)),
      components_(n),
      first_(make_buffer<std::size_t>(budget, n + 1, 0)),
      neighbours_(make_buffer<Neighbour>(budget, graph.size())) {
    if (graph.size() > static_cast<std::size_t>(std::numeric_limits<BirthIndex>::max()))
        throw BudgetExceeded(budget.limit(), graph.size() * sizeof(RankedEdge<Real>),
                             "more births than can be numbered");
    for (const RankedEdge<Real>& edge : graph) ++first_[static_cast<std::size_t>(edge.a) + 1];
    std::partial_sum(first_.begin(), first_.end(), first_.begin());

    Components sets(n, budget);
    Buffer<std::size_t> fill(first_.begin(), first_.end(), BudgetAllocator<std::size_t>(budget));
    for (const RankedEdge<Real>& edge : graph) {
        BirthIndex birth = kTree;
        if (sets.join(edge.a, edge.b)) {
            merges_.push_back(edge.length());
            --components_;
        } else if (edge.key <= longest) {
            birth = static_cast<BirthIndex>(edges_.size());
            edges_.push_back(edge);
        }
        neighbours_[fill[static_cast<std::size_t>(edge.a)]++] = {edge.b, birth};
    }
    for (std::size_t a = 0; a < n; ++a) {
        const auto begin = neighbours_.begin() + static_cast<std::ptrdiff_t>(first_[a]);
        const auto end = neighbours_.begin() + static_cast<std::ptrdiff_t>(first_[a + 1]);
        std::sort(begin, end, [](const Neighbour& x, const Neighbour& y) { return x.b < y.b; });
    }
}

template class Births<float>;
template class Births<double>;

}  // namespace adabet
