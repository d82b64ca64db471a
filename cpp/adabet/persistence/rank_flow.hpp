#pragma once

#include <algorithm>
#include <cstddef>

#include "adabet/execution.hpp"
#include "adabet/persistence/births.hpp"
#include "adabet/rips/sparse_lunes.hpp"

namespace adabet {

/// What becomes of each edge in a flow, by rank: it is replaced by its legs; one without (to_a = no_rank) is an edge of the
/// relative neighbourhood graph, and to_b then is the number of its birth, or no_rank for an edge of the forest.
class RankFlow {
public:
    RankFlow(const Buffer<Legs>& legs, const Execution& execution)
        : legs_(legs), execution_(execution), heap_(make_buffer<EdgeRank>(execution.budget)) {}

    void add(EdgeRank edge) {
        heap_.push_back(edge);
        std::push_heap(heap_.begin(), heap_.end());
    }

    /// Flows the chain down to edges of rank `lowest` and above, those below count as nothing; calls keep(birth) for each birth in
    /// it, youngest first. See Flow.
    template <class Keep>
    void run(EdgeRank lowest, Keep&& keep) {
        while (!heap_.empty()) {
            if (++steps_ % kStepsPerCheck == 0) execution_.check();
            const EdgeRank edge = heap_.front();
            if (edge < lowest) {
                heap_.clear();
                return;
            }
            pop();
            if (!heap_.empty() && heap_.front() == edge) {
                pop();
                continue;
            }
            const Legs legs = legs_[edge];
            if (legs.to_a != no_rank) {
                add(legs.to_a);
                add(legs.to_b);
            } else if (legs.to_b != no_rank) {
                keep(static_cast<BirthIndex>(legs.to_b));
            }
        }
    }

private:
    static constexpr std::size_t kStepsPerCheck = std::size_t{1} << 16;

    void pop() {
        std::pop_heap(heap_.begin(), heap_.end());
        heap_.pop_back();
    }

    const Buffer<Legs>& legs_;
    const Execution& execution_;
    Buffer<EdgeRank> heap_;
    std::size_t steps_ = 0;
};

}  // namespace adabet
