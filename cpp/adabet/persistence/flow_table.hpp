#pragma once

#include <cstddef>
#include <cstdint>

#include "adabet/memory_budget.hpp"
#include "adabet/persistence/births.hpp"
#include "adabet/persistence/filtration.hpp"
#include "adabet/rips/length_key.hpp"

namespace adabet {

/// What becomes of an edge in a flow: it is a birth, an edge of the forest, or is replaced by two edges to an apex.
template <class Real>
struct FlowStep {
    Edge edge;
    BirthIndex birth = Births<Real>::kNoNeighbour;
    Apex<Real> apex;

    [[nodiscard]] bool is_known() const { return apex.vertex >= 0 || birth != Births<Real>::kNoNeighbour; }
};

/// Edge -> step, by open addressing. Flows meet the same edges over and over: one look here stands for a search of a lune,
/// two of the relative neighbourhood graph, and two lengths out of the matrix.
template <class Real>
class FlowTable {
public:
    explicit FlowTable(MemoryBudget& budget)
        : budget_(budget), steps_(make_buffer<FlowStep<Real>>(budget, kFirstCapacity, FlowStep<Real>{})) {}

    /// The step of an edge, not yet known where it is asked for the first time; valid until the next call.
    FlowStep<Real>& at(const Edge& edge) {
        if (2 * (size_ + 1) > steps_.size()) grow();
        FlowStep<Real>& step = place(steps_, edge);
        if (step.edge.a < 0) {
            step.edge = edge;
            ++size_;
        }
        return step;
    }

    /// An edge that will be asked for soon: the table is larger than the cache, and its misses were most of a flow's time.
    void prefetch(const Edge& edge) const { __builtin_prefetch(steps_.data() + home(edge, steps_.size())); }

private:
    static constexpr std::size_t kFirstCapacity = 256;  ///< a power of two, as all later ones

    static std::size_t home(const Edge& edge, std::size_t capacity) {
        const auto key = static_cast<std::uint64_t>(edge.a) << 32 | static_cast<std::uint64_t>(edge.b);
        return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15u) >> 32) & (capacity - 1);
    }
    static FlowStep<Real>& place(Buffer<FlowStep<Real>>& steps, const Edge& edge) {
        const std::size_t mask = steps.size() - 1;
        std::size_t i = home(edge, steps.size());
        while (steps[i].edge.a >= 0 && steps[i].edge != edge) i = (i + 1) & mask;
        return steps[i];
    }
    void grow() {
        auto larger = make_buffer<FlowStep<Real>>(budget_, 2 * steps_.size(), FlowStep<Real>{});
        for (const FlowStep<Real>& step : steps_)
            if (step.edge.a >= 0) place(larger, step.edge) = step;
        steps_.swap(larger);
    }

    MemoryBudget& budget_;
    Buffer<FlowStep<Real>> steps_;
    std::size_t size_ = 0;
};

}  // namespace adabet
