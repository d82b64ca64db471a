#pragma once

#include <algorithm>
#include <cstddef>

#include "adabet/metric/chain.hpp"
#include "adabet/metric/kernels.hpp"
#include "adabet/metric/pairwise_plan.hpp"
#include "adabet/metric/panel.hpp"

namespace adabet {

/// A chunk that is likely to be taken, if it exists. Its points may be read before it is.
struct Upcoming {
    const PackSource* source = nullptr;  ///< null: not known
    std::size_t chunk = 0;
};

/// One worker's panels: chunk after chunk of a block of rows, packed when it is asked for or, where the plan says so, copied
/// by the kernel while the chunk before is computed.
template <class T>
class ChunkFeed {
public:
    /// The plan's n_panels panels begin there.
    ChunkFeed(const PairwisePlan& plan, Panel<T>* panels)
        : block_(plan.block), copies_ahead_(plan.copies_ahead), panels_(panels) {}

    /// That chunk of a block of rows.
    Panel<T>& take(const PackSource& source, std::size_t block, std::size_t chunk) {
        const bool there =
            copied_ && source.order.as_they_stand() && copied_points_ == source.points && copied_chunk_ == chunk;
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

    /// What to do for the next chunk, of a block of rows, while one of so many steps is computed, and for the one after it.
    Ahead ahead(const Upcoming& next, const Upcoming& after, std::size_t block, std::size_t steps) {
        if (!in_place(next)) return {};
        const PointCloud& points = next.source->points;
        const std::size_t element = size_of(points.scalar);
        Ahead rows{.first = first_row(next, block),
                   .row_bytes = points.point_stride * static_cast<std::ptrdiff_t>(element),
                   .bytes = chain::columns_of(next.chunk, points.d) * element,
                   .rows = rows_of(*next.source, block)};
        const bool whole = steps == chain::steps && chain::columns_of(next.chunk, points.d) == chain::chunk_columns;
        const bool as_it_is = points.scalar == ScalarType::float32;  // a next cloud may be of another type
        if (copies_ahead_ && next.source->table.copies_ahead && whole && as_it_is) {
            Panel<T>& to = panels_[1 - at_hand_];
            to.expect(rows.rows);
            rows.to = reinterpret_cast<unsigned char*>(to.values());
            rows.to_row_bytes = static_cast<std::ptrdiff_t>(to.ld() * sizeof(T));
            rows.after = in_place(after) ? first_row(after, block) : nullptr;
            copied_ = true;
            copied_points_ = points;
            copied_chunk_ = next.chunk;
        }
        return rows;
    }

    [[nodiscard]] std::size_t rows_of(const PackSource& source, std::size_t block) const {
        return std::min(block_, source.n() - block * block_);
    }

private:
    /// Whether there is such a chunk and its rows can be read where they stand.
    [[nodiscard]] static bool in_place(const Upcoming& chunk) {
        return chunk.source != nullptr && chunk.source->points.coordinate_stride == 1 &&
               chunk.source->order.as_they_stand() && chunk.chunk < chain::n_chunks(chunk.source->points.d);
    }
    [[nodiscard]] const unsigned char* first_row(const Upcoming& chunk, std::size_t block) const {
        return static_cast<const unsigned char*>(
            address_of(chunk.source->points, block * block_, chunk.chunk * chain::chunk_columns));
    }

    std::size_t block_;
    bool copies_ahead_;
    std::size_t at_hand_ = 0;  ///< which panel was taken last
    bool copied_ = false;      ///< the other panel holds rows of that chunk of those points
    PointCloud copied_points_;
    std::size_t copied_chunk_ = 0;
    Panel<T>* panels_;
};

}  // namespace adabet
