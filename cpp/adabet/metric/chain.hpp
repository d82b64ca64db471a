#pragma once

#include <cstddef>

#include "adabet/host_device.hpp"

/// The order in which one distance is summed, the same on every backend, and a function of d alone.
///
/// d <= 64: one fp64 sum over k = 0 .. d-1 ("narrow").
/// d > 64: columns are cut into chunks of 32 lanes x 32 steps; column = chunk * 1024 + step * 32 + lane. Each lane is one
/// chain of at most 32 steps. The 32 lanes are folded by halves (l with l + 16, then with l + 8) in the chain's precision,
/// the eight sums that remain are promoted and folded by halves in fp64: the chunk's sum. Eight chunks in sequence make a
/// group, the groups in sequence make the distance. Missing columns count as equal coordinates, which changes no bit.
///
/// Why 32 lanes: a warp with its lanes along k holds one accumulator for each of its 8 x 8 pairs; a 512-bit register holds
/// half of them. Why 32 steps: eight rows of a chunk fill a 32 KiB first-level cache; and squares of coordinates on a coarse
/// grid (offset 100, spread 0.01: differences of some 11 bits) round down more often than up, since odd squares are 1 modulo
/// 8, which makes such a distance 6e-8 too short in chains of 32 and would make it twice that in chains of 64. Why groups:
/// they are what is shared out among threads or blocks where points are few (and, in the end, the chunks of some).
namespace adabet::chain {

inline constexpr std::size_t lanes = 32;
inline constexpr std::size_t steps = 32;
inline constexpr std::size_t chunk_columns = lanes * steps;
inline constexpr std::size_t chunks_per_group = 8;
inline constexpr std::size_t group_columns = chunk_columns * chunks_per_group;
inline constexpr std::size_t narrow_columns = 64;

[[nodiscard]] ADABET_HOST_DEVICE constexpr bool is_narrow(std::size_t d) { return d <= narrow_columns; }

[[nodiscard]] ADABET_HOST_DEVICE constexpr std::size_t ceil_div(std::size_t a, std::size_t b) {
    return a / b + (a % b != 0 ? 1 : 0);
}

[[nodiscard]] ADABET_HOST_DEVICE constexpr std::size_t n_chunks(std::size_t d) { return ceil_div(d, chunk_columns); }

[[nodiscard]] ADABET_HOST_DEVICE constexpr std::size_t n_groups(std::size_t d) { return ceil_div(d, group_columns); }

/// Columns of a chunk; the last one may be shorter.
[[nodiscard]] ADABET_HOST_DEVICE constexpr std::size_t columns_of(std::size_t chunk, std::size_t d) {
    const std::size_t left = d - chunk * chunk_columns;
    return left < chunk_columns ? left : chunk_columns;
}

/// Steps that each lane takes through that many columns.
[[nodiscard]] ADABET_HOST_DEVICE constexpr std::size_t steps_of(std::size_t columns) {
    return ceil_div(columns, lanes);
}

[[nodiscard]] ADABET_HOST_DEVICE constexpr std::size_t column(std::size_t chunk, std::size_t step, std::size_t lane) {
    return chunk * chunk_columns + step * lanes + lane;
}

/// A chunk's fp32 sum of squares is kept if it lies in [smallest_kept, largest_kept]. Below, squares may have underflowed
/// (each step errs by 2^-150 at most, 2^-140 in a chunk); above, they overflowed. Such a chunk is redone in fp64.
inline constexpr double smallest_kept = 0x1p-100;
inline constexpr double largest_kept = 0x1p+132;

[[nodiscard]] ADABET_HOST_DEVICE constexpr bool is_kept(double chunk_sum) {
    return chunk_sum >= smallest_kept && chunk_sum <= largest_kept;
}

/// A zero sum stands without a second look where no entry of the two rows is non-zero and below this: their differences
/// are then zero or at least 2^-62, whose square fp32 still holds.
inline constexpr float smallest_plain = 0x1p-39F;
/// Entries from here on can overflow a chain.
inline constexpr float smallest_huge = 0x1p+57F;

}  // namespace adabet::chain
