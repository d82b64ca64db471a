#pragma once

#include <memory>
#include <span>

#include "adabet/isa.hpp"
#include "adabet/metric/distance_tiles.hpp"
#include "adabet/metric/panel.hpp"

/// The two kinds of tiles of points: few coordinates, held packed; many, packed from the caller's memory tile by tile.
namespace adabet {

/// point_tiles with the kernels of one instruction set, which must be among available_isas(): for tests and timings.
template <class Real>
[[nodiscard]] std::unique_ptr<DistanceTiles<Real>> point_tiles_on(Isa isa, const PointCloud& points, Metric metric,
                                                                  std::span<const Vertex> order,
                                                                  const Execution& execution);

/// A cloud, what its metric asks to know of each row, and the order of its points.
class OrderedPoints {
public:
    OrderedPoints(Isa isa, const PointCloud& points, Metric metric, std::span<const Vertex> order,
                  const Execution& execution);
    OrderedPoints(const OrderedPoints&) = delete;
    OrderedPoints& operator=(const OrderedPoints&) = delete;

    [[nodiscard]] const PackSource& source() const { return source_; }
    [[nodiscard]] Metric metric() const { return metric_; }
    [[nodiscard]] std::size_t n() const { return source_.n(); }

private:
    PointCloud points_;
    Metric metric_;
    Buffer<Vertex> order_;
    Buffer<RowNorm> norms_;
    PackSource source_;
};

template <class Real>
[[nodiscard]] std::unique_ptr<DistanceTiles<Real>> narrow_tiles(Isa isa, const PointCloud& points, Metric metric,
                                                                std::span<const Vertex> order,
                                                                const Execution& execution);
[[nodiscard]] std::size_t narrow_tiles_bytes(std::size_t n, std::size_t d);

template <class Real>
[[nodiscard]] std::unique_ptr<DistanceTiles<Real>> wide_tiles(Isa isa, const PointCloud& points, Metric metric,
                                                              std::span<const Vertex> order,
                                                              const Execution& execution);
[[nodiscard]] std::size_t wide_reader_bytes(const PointCloud& points, Metric metric, std::size_t real_size);

}  // namespace adabet
