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

/// A rows against the 8 points of a block.
template <class M, std::size_t A>
ADABET_INLINE void sum(const double* const (&rows)[A], const double* block, std::size_t d,
                       double (&sums)[A][narrow_width]) {
    for (std::size_t r = 0; r < A; ++r)
        for (std::size_t l = 0; l < narrow_width; ++l) sums[r][l] = 0.0;
    for (std::size_t k = 0; k < d * narrow_width; k += narrow_width)
        for (std::size_t r = 0; r < A; ++r)
            for (std::size_t l = 0; l < narrow_width; ++l)
                sums[r][l] = M::Core::take(sums[r][l], rounded::subtract(rows[r][k], block[k + l]));
}

template <class M, std::size_t A, class Real>
ADABET_INLINE bool distances(const NarrowTile<Real>& tile) {
    constexpr std::size_t W = narrow_width;
    double least[W];  // sums, lane by lane
    double most[W];
    for (std::size_t l = 0; l < W; ++l) {
        least[l] = std::numeric_limits<double>::max();
        most[l] = 0.0;
    }
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
                rows[r] = tile.points + (tile.first_row + row) / W * W * tile.d + (tile.first_row + row) % W;
                outs[r] = tile.out + row * tile.stride;
            }
            for (std::size_t block = from; block < to; ++block) {
                double sums[A][W];
                sum<M, A>(rows, tile.points + block * W * tile.d, tile.d, sums);
                const std::size_t column = block * W;
                const bool whole = column >= tile.first_column && column + W <= end_column;
                if (whole) {
                    for (std::size_t r = 0; r < A; ++r) {
                        Real* out = outs[r] + (column - tile.first_column);
                        for (std::size_t l = 0; l < W; ++l) {
                            most[l] = most[l] > sums[r][l] ? most[l] : sums[r][l];
                            if constexpr (must_look_below<M, Real>())
                                least[l] = least[l] < sums[r][l] ? least[l] : sums[r][l];
                            out[l] = static_cast<Real>(M::epilog(sums[r][l]));
                        }
                    }
                } else {
                    const std::size_t begin = std::max(column, tile.first_column) - column;
                    const std::size_t end = std::min(column + W, end_column) - column;
                    for (std::size_t r = 0; r < A; ++r) {
                        for (std::size_t l = begin; l < end; ++l) {
                            most[l] = std::max(most[l], sums[r][l]);
                            least[l] = std::min(least[l], sums[r][l]);
                            outs[r][column + l - tile.first_column] = static_cast<Real>(M::epilog(sums[r][l]));
                        }
                    }
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
