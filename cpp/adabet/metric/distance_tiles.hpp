#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "adabet/execution.hpp"
#include "adabet/metric/pairwise.hpp"
#include "adabet/metric/point_cloud.hpp"
#include "adabet/types.hpp"

/// Distances without a matrix: a tile at a time, from the points or from the caller's own matrix, with the bits that
/// pairwise_distances, read_square or read_condensed would give.
namespace adabet {

/// Half-open range of points.
struct PointRange {
    std::size_t begin = 0;
    std::size_t end = 0;

    [[nodiscard]] std::size_t size() const { return end - begin; }
};

/// Reads distances on one thread, with scratch of its own: neither function allocates.
template <class Real>
class TileReader {
public:
    TileReader() = default;
    TileReader(const TileReader&) = delete;
    TileReader& operator=(const TileReader&) = delete;
    virtual ~TileReader() = default;

    /// out[(i - rows.begin) * stride + (j - columns.begin)] = d(i, j) for all i, j of the ranges; d(i, i) = 0.
    /// Quickest with 32 rows or more (64 are taken at a time). Throws InvalidInput where a distance overflows Real.
    virtual void read(PointRange rows, PointRange columns, Real* out, std::size_t stride) = 0;
    [[nodiscard]] virtual Real at(std::size_t i, std::size_t j) = 0;
    /// out[k] = the distance of pair k.
    virtual void read_pairs(std::span<const Edge> pairs, Real* out) {
        for (std::size_t k = 0; k < pairs.size(); ++k)
            out[k] = at(static_cast<std::size_t>(pairs[k].a), static_cast<std::size_t>(pairs[k].b));
    }
};

/// Shared by all threads; each takes a reader of its own, which must not outlive this, nor the caller's points or matrix.
template <class Real>
class DistanceTiles {
public:
    DistanceTiles() = default;
    DistanceTiles(const DistanceTiles&) = delete;
    DistanceTiles& operator=(const DistanceTiles&) = delete;
    virtual ~DistanceTiles() = default;

    [[nodiscard]] virtual std::size_t n() const = 0;
    [[nodiscard]] virtual std::unique_ptr<TileReader<Real>> reader(MemoryBudget& budget) const = 0;
    /// Whether a single distance costs about as much as thousands that are asked for together (read_pairs).
    [[nodiscard]] virtual bool are_far() const { return false; }
};

/// Tiles of a point cloud. Point i of the tiles is row order[i] of the cloud; an empty order takes the rows as they stand,
/// one that names fewer rows takes those. Coordinates are looked through here (NaN, infinities and rows without a direction
/// raise as in pairwise_distances, naming the cloud's row); a distance that overflows raises when it is read.
template <class Real>
[[nodiscard]] std::unique_ptr<DistanceTiles<Real>> point_tiles(const PointCloud& points, Metric metric,
                                                               std::span<const Vertex> order,
                                                               const Execution& execution);

/// Tiles of a square matrix that need not be canonical: cast, zero diagonal, what lies below the diagonal taken from above
/// it, validated here, in one pass, exactly as read_square does. `order` as above.
template <class Real>
[[nodiscard]] std::unique_ptr<DistanceTiles<Real>> matrix_tiles(const PointCloud& matrix, std::span<const Vertex> order,
                                                                const Execution& execution);

/// The same of a condensed matrix, a single row of n (n - 1) / 2 entries, as read_condensed reads it.
template <class Real>
[[nodiscard]] std::unique_ptr<DistanceTiles<Real>> condensed_tiles(const PointCloud& vector,
                                                                   std::span<const Vertex> order,
                                                                   const Execution& execution);

/// Bytes that the tiles of n_order points (as point_tiles takes them) hold, and that each reader does beside them.
[[nodiscard]] std::size_t point_tiles_bytes(const PointCloud& points, Metric metric, std::size_t n_order);
[[nodiscard]] std::size_t point_reader_bytes(const PointCloud& points, Metric metric, std::size_t real_size);
/// The same for tiles of either kind of matrix.
[[nodiscard]] std::size_t matrix_tiles_bytes(std::size_t n_order);
[[nodiscard]] std::size_t matrix_reader_bytes(std::size_t real_size);

}  // namespace adabet
