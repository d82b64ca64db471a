#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "adabet/host_device.hpp"
#include "adabet/isa.hpp"
#include "adabet/metric/chain.hpp"

/// Which pair a block and a thread of a kernel work on, and where packed coordinates lie. All in 64 bits: n^2 passes 32 at
/// n = 46,341 (signed) and 65,536, the pairs i < j at 65,537 and 92,683.
namespace adabet::pair_maps {

using Index = std::uint64_t;

[[nodiscard]] ADABET_HOST_DEVICE constexpr Index triangle(Index n) { return n * (n + 1) / 2; }

struct Place {
    Index row;
    Index column;
};

/// Entry `index` of an upper triangle with its diagonal, row <= column, counted down the columns.
[[nodiscard]] ADABET_HOST_DEVICE inline Place triangle_place(Index index) {
    // The square root is right but for one unit, up or down.
    auto column = static_cast<Index>((rounded::square_root(8.0 * static_cast<double>(index) + 1.0) - 1.0) * 0.5);
    while (triangle(column) > index) --column;
    while (triangle(column + 1) <= index) ++column;
    return {index - triangle(column), column};
}

/// Tiles of a launch: an upper triangle of tiles, or a rectangle (counted down the columns as well).
struct TileGrid {
    Index rows;     ///< tiles of the first band
    Index columns;  ///< tiles of the second band; 0: a triangle, both bands are the same
    [[nodiscard]] ADABET_HOST_DEVICE constexpr Index size() const {
        return columns == 0 ? triangle(rows) : rows * columns;
    }
    [[nodiscard]] ADABET_HOST_DEVICE Place place(Index tile) const {
        return columns == 0 ? triangle_place(tile) : Place{tile % rows, tile / rows};
    }
};

/// Lanes in the order in which one thread takes them: neighbours in it are the first to be folded.
[[nodiscard]] ADABET_HOST_DEVICE constexpr std::size_t lane_of_leaf(std::size_t leaf) {
    return ((leaf & 1U) << 4U) | ((leaf & 2U) << 2U) | (leaf & 4U) | ((leaf & 8U) >> 2U) | ((leaf & 16U) >> 4U);
}

/// Packed coordinates of a chunk: leaf after leaf, each as many steps as the chunk has.
[[nodiscard]] ADABET_HOST_DEVICE constexpr std::size_t steps_of_chunk(std::size_t chunk, std::size_t d) {
    return chain::steps_of(chain::columns_of(chunk, d));
}
/// The first packed coordinate of a chunk; of the one behind the last: how many there are.
[[nodiscard]] ADABET_HOST_DEVICE constexpr std::size_t packed_start(std::size_t chunk, std::size_t d) {
    const std::size_t full = d / chain::chunk_columns;
    return chunk <= full ? chunk * chain::chunk_columns
                         : full * chain::chunk_columns + chain::lanes * steps_of_chunk(full, d);
}
[[nodiscard]] ADABET_HOST_DEVICE constexpr std::size_t packed_columns(std::size_t d) {
    return chain::is_narrow(d) ? d : packed_start(chain::n_chunks(d), d);
}
/// Lanes are folded by halves: the leaf of a lane is the lane of a leaf.
[[nodiscard]] ADABET_HOST_DEVICE constexpr std::size_t packed_place(std::size_t chunk, std::size_t step,
                                                                    std::size_t lane, std::size_t d) {
    return chunk * chain::chunk_columns + lane_of_leaf(lane) * steps_of_chunk(chunk, d) + step;
}

/// Leaves that are staged together, so that a stage has up to 32 packed coordinates.
[[nodiscard]] ADABET_HOST_DEVICE constexpr std::size_t leaves_of_stage(std::size_t steps) {
    std::size_t leaves = 1;
    while (leaves < chain::lanes && 2 * leaves * steps <= chain::steps) leaves *= 2;
    return leaves;
}

}  // namespace adabet::pair_maps
