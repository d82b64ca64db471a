#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>

#include "adabet/host_device.hpp"
#include "adabet/isa.hpp"
#include "adabet/metric/kernels.hpp"
#include "adabet/metric/metrics.hpp"

/// Distances of points with at most 64 coordinates, sum and epilog in one loop: for such points a store and a load of the
/// sums would cost as much as the sums. Included by kernels.cpp alone.
namespace adabet::narrow_tile_kernel {

/// The eight points of a block. A vector type, where the house has plain loops: from those GCC made scalar code here.
using Lanes = double __attribute__((vector_size(narrow_width * sizeof(double)), may_alias));

[[nodiscard]] ADABET_INLINE const double* point_at(const double* points, std::size_t d, std::size_t i) {
    return points + i / narrow_width * narrow_width * d + i % narrow_width;
}

/// A rows against the points of a block.
template <class M, std::size_t A>
ADABET_INLINE void sum(const double* const (&rows)[A], const double* block, std::size_t d, Lanes (&sums)[A]) {
    for (std::size_t r = 0; r < A; ++r) sums[r] = Lanes{};
    for (std::size_t k = 0; k < d * narrow_width; k += narrow_width) {
        const Lanes b = *reinterpret_cast<const Lanes*>(block + k);
        for (std::size_t r = 0; r < A; ++r)
            for (std::size_t l = 0; l < narrow_width; ++l)
                sums[r][l] = M::Core::take(sums[r][l], rounded::subtract(rows[r][k], b[l]));
    }
}

template <class M, std::size_t A, class Real>
ADABET_INLINE bool distances(const NarrowTile<Real>& tile) {
    constexpr std::size_t W = narrow_width;
    Lanes least = Lanes{} + std::numeric_limits<double>::max();  // sums, the padding's among them
    Lanes most{};
    const std::size_t end_column = tile.first_column + tile.n_columns;
    const std::size_t last_block = (end_column + W - 1) / W;
    // As many columns at a time as half a first-level cache holds.
    const std::size_t at_a_time = std::max<std::size_t>(4, 2048 / W / tile.d);
    for (std::size_t from = tile.first_column / W; from < last_block; from += at_a_time) {
        const std::size_t to = std::min(from + at_a_time, last_block);
        for (std::size_t i = 0; i < tile.n_rows; i += A) {
            const double* rows[A];
            Real* outs[A];
            for (std::size_t r = 0; r < A; ++r) {  // rows beyond the last repeat it
                const std::size_t row = std::min(i + r, tile.n_rows - 1);
                rows[r] = point_at(tile.points, tile.d, tile.first_row + row);
                outs[r] = tile.out + row * tile.stride;
            }
            for (std::size_t block = from; block < to; ++block) {
                Lanes sums[A];
                sum<M, A>(rows, tile.points + block * W * tile.d, tile.d, sums);
                for (std::size_t r = 0; r < A; ++r) {
                    most = most > sums[r] ? most : sums[r];
                    if constexpr (must_look_below<M, Real>()) least = least < sums[r] ? least : sums[r];
                }
                const std::size_t column = block * W;
                if (column >= tile.first_column && column + W <= end_column) {
                    for (std::size_t r = 0; r < A; ++r) {
                        Real* const out = outs[r] + (column - tile.first_column);
                        for (std::size_t l = 0; l < W; ++l) out[l] = static_cast<Real>(M::epilog(sums[r][l]));
                    }
                } else {
                    const std::size_t begin = std::max(column, tile.first_column);
                    const std::size_t end = std::min(column + W, end_column);
                    for (std::size_t r = 0; r < A; ++r)
                        for (std::size_t j = begin; j < end; ++j)
                            outs[r][j - tile.first_column] = static_cast<Real>(M::epilog(sums[r][j - column]));
                }
            }
        }
    }
    for (std::size_t l = 0; l < W; ++l) {
        if (!(static_cast<Real>(M::epilog(most[l])) <= std::numeric_limits<Real>::max())) return false;
        if (must_look_below<M, Real>() && least[l] < smallest_sound_sum) return false;
    }
    return true;
}

}  // namespace adabet::narrow_tile_kernel
