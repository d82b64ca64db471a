#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "adabet/metric/cloud_on_device.hpp"
#include "adabet/metric/distance_tiles.hpp"

namespace adabet {

/// How much of a cloud a device holds at once while rectangles of its distances are computed.
struct PanelLayout {
    std::size_t rows = 0;           ///< of one rectangle: whole tiles
    std::size_t columns = 0;        ///< of one rectangle: all, or whole tiles
    std::size_t partial_bytes = 0;  ///< partial sums kept
    std::size_t bytes = 0;          ///< device memory in all, beside the points
    bool is_packed_once = false;    ///< whether all points stay packed
};

/// The largest rectangles within so many bytes; the smallest there are where not even these fit.
[[nodiscard]] PanelLayout panel_layout(const PointCloud& points, Metric metric, std::size_t real_size,
                                       std::size_t n_order, std::size_t available_bytes);

/// Distances of a point cloud in a device's memory that holds no matrix of them: rectangles and single pairs are computed
/// when they are asked for and copied to the host, with the bits of pairwise_distances. For one thread at a time. Where the
/// device has less memory than it is allowed to take, or than it said, rectangles become smaller.
template <class Real>
class DevicePanels {
public:
    /// Looks through all coordinates; throws as point_tiles does. Throws BudgetExceeded or DeviceOutOfMemory where the
    /// smallest rectangles do not fit. `execution` and an `order` must outlive this.
    DevicePanels(Device& device, const PointCloud& points, Metric metric, std::span<const Vertex> order,
                 const Execution& execution);

    [[nodiscard]] std::size_t n() const { return cloud_.points().n; }
    [[nodiscard]] const PanelLayout& layout() const { return layout_; }

    /// host[(i - rows.begin) * stride + (j - columns.begin)] = d(i, j). Throws InvalidInput where a distance overflows.
    void read(PointRange rows, PointRange columns, Real* host, std::size_t stride);
    /// host[k] = the distance of pair k, whatever its ends' order.
    void read(std::span<const Edge> pairs, Real* host);

private:
    [[nodiscard]] std::size_t available() const;
    void prepare();
    void allocate();
    void look_through();
    void pack(PackedBand& band, PointRange points);
    [[nodiscard]] PackedBand band_of(PointRange points) const;

    CloudOnDevice cloud_;
    std::size_t n_order_;
    PanelLayout layout_;
    std::vector<DeviceArray<std::byte>> memory_;
    PackedBand first_;
    PackedBand second_;
    std::byte* out_ = nullptr;
    std::size_t out_bytes_ = 0;
};

/// The bytes without which nothing of the above can be done.
[[nodiscard]] std::size_t least_panel_bytes(const PointCloud& points, Metric metric, std::size_t real_size,
                                            std::size_t n_order);

}  // namespace adabet
