#pragma once

#include <algorithm>
#include <cstddef>

#include "adabet/metric/chain.hpp"
#include "adabet/metric/kernels.hpp"
#include "adabet/metric/pairwise_plan.hpp"
#include "adabet/metric/panel.hpp"

namespace adabet {

/// One worker's panels: chunk after chunk of a block of rows, packed when it is asked for or, where the plan says so, copied
/// by the kernel while the chunk before is computed.
template <class T>
class ChunkFeed {
public:
    ChunkFeed(const PairwisePlan& plan, MemoryBudget& budget)
        : block_(plan.block), copies_ahead_(plan.copies_ahead), panels_(plan, budget) {}

    /// That chunk of a block of rows.
    Panel<T>& take(const PackSource& source, std::size_t block, std::size_t chunk) {
        const bool there = copied_ && copied_points_ == source.points && copied_chunk_ == chunk;
        copied_ = false;
        if (there) {
            at_hand_ = 1 - at_hand_;
        } else {
            panels_[at_hand_].pack_chunk(source, block * block_, rows_of(source, block), chunk);
        }
        return panels_[at_hand_];
    }
    /// The same for the block that the first one meets.
    Panel<T>& take_other(const PackSource& source, std::size_t block, std::size_t chunk) {
        Panel<T>& other = panels_[1 - at_hand_];
        other.pack_chunk(source, block * block_, rows_of(source, block), chunk);
        return other;
    }

    /// What to do for that chunk, likely to be taken next, while one of so many steps is computed.
    Ahead ahead(const PackSource& source, std::size_t block, std::size_t chunk, std::size_t steps) {
        const PointCloud& points = source.points;
        if (points.coordinate_stride != 1 || !source.order.as_they_stand() || chunk >= chain::n_chunks(points.d))
            return {};
        const std::size_t element = size_of(points.scalar);
        Ahead rows{.first = static_cast<const unsigned char*>(
                       address_of(points, block * block_, chunk * chain::chunk_columns)),
                   .row_bytes = points.point_stride * static_cast<std::ptrdiff_t>(element),
                   .bytes = chain::columns_of(chunk, points.d) * element,
                   .rows = rows_of(source, block)};
        const bool whole = steps == chain::steps && chain::columns_of(chunk, points.d) == chain::chunk_columns;
        if (copies_ahead_ && source.table.copies_ahead && whole) {
            Panel<T>& to = panels_[1 - at_hand_];
            to.expect(rows.rows);
            rows.to = reinterpret_cast<unsigned char*>(to.values());
            rows.to_row_bytes = static_cast<std::ptrdiff_t>(to.ld() * sizeof(T));
            copied_ = true;
            copied_points_ = points;
            copied_chunk_ = chunk;
        }
        return rows;
    }

    [[nodiscard]] std::size_t rows_of(const PackSource& source, std::size_t block) const {
        return std::min(block_, source.n() - block * block_);
    }

private:
    std::size_t block_;
    bool copies_ahead_;
    std::size_t at_hand_ = 0;  ///< which panel was taken last
    bool copied_ = false;      ///< the other panel holds rows of that chunk of those points
    PointCloud copied_points_;
    std::size_t copied_chunk_ = 0;
    Panels<T> panels_;
};

}  // namespace adabet
