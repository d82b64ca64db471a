#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "adabet/isa.hpp"
#include "adabet/metric/point_cloud.hpp"

/// The inner loops of the distances, one table of functions for each instruction set.
namespace adabet {

inline constexpr std::size_t n_scalar_types = static_cast<std::size_t>(ScalarType::boolean) + 1;

/// What packing a row found in it: a set of these.
enum Mark : std::uint8_t {
    mark_none = 0,
    mark_tiny = 1,        ///< a non-zero entry below chain::smallest_plain (fp32 only)
    mark_huge = 2,        ///< an entry from chain::smallest_huge on (fp32 only)
    mark_non_finite = 4,  ///< NaN or an infinity
    mark_unseen = 8,      ///< not looked through yet: a kernel does so where it has to know
};

/// Reads `count` coordinates, `stride` elements apart, into consecutive T, and says what it met.
template <class T>
using PackRow = std::uint8_t (*)(const void* first, std::ptrdiff_t stride, std::size_t count, T* to);

/// Memory that the next chunk is packed from: rows that are asked for, or copied, while this one is computed.
struct Ahead {
    const unsigned char* first = nullptr;
    std::ptrdiff_t row_bytes = 0;  ///< from one row to the next
    std::size_t bytes = 0;         ///< of a row
    std::size_t rows = 0;
    unsigned char* to = nullptr;  ///< null: rows are only asked for; whole lines, and a whole chunk is computed, if not
    std::ptrdiff_t to_row_bytes = 0;
    const unsigned char* after = nullptr;  ///< the first row of the chunk to be copied after this one; null: not known
};

/// Rows beyond a block's last that a kernel may read, whatever stands there: tiles are up to 4 rows by 4.
inline constexpr std::size_t rows_beyond = 3;

/// The pairs of rows a[0, n_a) and b[0, n_b), one chunk of columns. Rows are `ld` elements apart, 64-byte aligned, padded
/// with zeros to whole steps.
template <class T>
struct ChunkBlock {
    const T* a;
    const T* b;
    std::size_t n_a;
    std::size_t n_b;
    std::size_t ld;
    std::size_t steps;
    std::uint8_t* marks_a;  ///< of those rows that are unseen some are looked through
    std::uint8_t* marks_b;
    bool diagonal;  ///< a and b are the same rows: only pairs i < j count
    double* sums;   ///< joined into: row i of a at i * ld_sums
    std::size_t ld_sums;
    Ahead ahead = {};
};

struct CoreKernels {
    void (*chunk)(const ChunkBlock<double>&);
    void (*pair)(const ChunkBlock<double>&);  ///< chunk for n_a = n_b = 1, which computes no other pair
};

/// Points with d <= 64 coordinates in blocks of 8: coordinate k of point i at (i / 8 * d + k) * 8 + i % 8.
inline constexpr std::size_t narrow_width = 8;

/// The distances of a tile of such points, whose last block is padded.
template <class Real>
struct NarrowTile {
    const double* points;
    std::size_t d;
    std::size_t first_row;
    std::size_t n_rows;
    std::size_t first_column;
    std::size_t n_columns;
    Real* out;
    std::size_t stride;
};

/// By metric: sums to distances in one go. False where a distance may be none: it overflowed Real, or (Real = double,
/// squares) its sum left the range in which fp64 keeps its digits; zero is below it.
template <class Real>
struct NarrowTileKernels {
    bool (*euclidean)(const NarrowTile<Real>&);
    bool (*squared)(const NarrowTile<Real>&);
    bool (*cityblock)(const NarrowTile<Real>&);
    bool (*chebyshev)(const NarrowTile<Real>&);
    bool (*cosine)(const NarrowTile<Real>&);
};

struct Kernels {
    std::array<PackRow<float>, n_scalar_types> pack_float;  ///< null where the type does not fit float
    std::array<PackRow<double>, n_scalar_types> pack_double;
    void (*chunk_of_squares_float)(const ChunkBlock<float>&);
    void (*pair_of_squares_float)(const ChunkBlock<float>&);  ///< for n_a = n_b = 1
    NarrowTileKernels<float> tile_float;
    NarrowTileKernels<double> tile_double;
    CoreKernels squares, absolutes, largest;
    bool copies_ahead;  ///< chunk_of_squares_float does what ChunkBlock::ahead asks to have copied
};

/// That instruction set must be among available_isas().
[[nodiscard]] const Kernels& kernels(Isa isa);

}  // namespace adabet
