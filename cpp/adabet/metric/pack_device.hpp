#pragma once

#include "adabet/metric/device_pairs.hpp"
#include "adabet/metric/pair_maps.hpp"
#include "adabet/types.hpp"

// Offsets within a block's own tile are 32-bit on purpose: registers are short.
// NOLINTBEGIN(bugprone-implicit-widening-of-multiplication-result)
namespace adabet {

/// Rows of any type and stride to packed T: coordinate k of row i at k * ld + i, the coordinates in the order of
/// pair_maps::packed_place, so that tiles read them in long runs. Looks for NaN, infinities and tiny entries on the way.
template <class T>
struct PackKernel {
    static constexpr unsigned threads = 256;
    static constexpr unsigned min_blocks = 2;
    static constexpr unsigned side = 32;
    static constexpr unsigned shared_bytes = side * (side + 1) * sizeof(T);

    PointCloud points;
    const RowNorm* norms;  ///< one a row, or null
    std::size_t first;     ///< rows [first, first + rows)
    std::size_t rows;
    std::size_t ld;  ///< a multiple of 32, >= rows: what lies beyond becomes zero
    T* packed;
    std::uint8_t* tiny;  ///< [chunk * ld + row]: set to 1 where a chunk of a row has a tiny entry (T = float)
    DeviceFindings* findings;
    const Vertex* order = nullptr;  ///< the row of each point; null: as they stand

    [[nodiscard]] std::uint64_t blocks() const {
        return ld / side * chain::ceil_div(pair_maps::packed_columns(points.d), side);
    }

    template <class Thread>
    ADABET_DEVICE void operator()(Thread& t) const {
        T* const tile = static_cast<T*>(t.shared());
        const std::size_t row_blocks = ld / side;
        const std::size_t row_block = t.block() % row_blocks;
        const std::size_t strip = t.block() / row_blocks;  // 32 columns: one step of a chunk
        const bool narrow = chain::is_narrow(points.d);
        const std::size_t column = strip * side + t.lane();
        for (unsigned r = t.warp(); r < side; r += threads / 32) {
            const std::size_t row = row_block * side + r;
            T value{0};
            if (row < rows && column < points.d) value = load_one(t, row_of(first + row), column);
            if constexpr (sizeof(T) == sizeof(float)) {
                if (t.any(is_tiny(value)) && t.lane() == 0) tiny[strip / chain::steps * ld + row] = 1;
            }
            tile[r * (side + 1) + t.lane()] = value;
        }
        t.sync_block();
        for (unsigned c = t.warp(); c < side; c += threads / 32) {
            const std::size_t k =
                narrow ? strip * side + c
                       : pair_maps::packed_place(strip / chain::steps, strip % chain::steps, c, points.d);
            if (narrow && k >= points.d) continue;
            packed[k * ld + row_block * side + t.lane()] = tile[t.lane() * (side + 1) + c];
        }
    }

private:
    [[nodiscard]] ADABET_DEVICE ADABET_INLINE std::size_t row_of(std::size_t point) const {
        return order == nullptr ? point : static_cast<std::size_t>(order[point]);
    }
    template <class Thread>
    ADABET_DEVICE ADABET_INLINE T load_one(Thread& t, std::size_t row, std::size_t column) const {
        const T value = load<T>(points, row, column);
        if (!is_finite(value)) t.lower(&findings->non_finite, row * points.d + column);
        if constexpr (sizeof(T) == sizeof(double)) {
            if (norms != nullptr) return norms[row](value);
        }
        return value;
    }
};

}  // namespace adabet
// NOLINTEND(bugprone-implicit-widening-of-multiplication-result)
