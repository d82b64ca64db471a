#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "adabet/metric/device.hpp"
#include "adabet/metric/pairwise.hpp"

namespace adabet {

/// Consecutive points, packed in a device's memory.
struct PackedBand {
    std::size_t first = 0;
    std::size_t rows = 0;
    std::size_t ld = 0;  ///< a multiple of a tile's edge
    std::byte* packed = nullptr;
    std::uint8_t* tiny = nullptr;  ///< see PackKernel
};

/// A point cloud in a device's memory, and what it takes to measure any rectangle of its distances: its rows' norms, partial
/// sums, and what the kernels found. Device bytes are booked with `execution.budget`.
class CloudOnDevice {
public:
    /// Point i is row order[i] of the cloud (all rows, each once) where an order is given; errors name the cloud's rows.
    CloudOnDevice(Device& device, const PointCloud& points, Metric metric, bool in_double, const Execution& execution,
                  std::span<const Vertex> order = {});
    CloudOnDevice(const CloudOnDevice&) = delete;
    CloudOnDevice& operator=(const CloudOnDevice&) = delete;
    CloudOnDevice(CloudOnDevice&&) = default;

    /// How distances of such points are summed: in fp32, or in fp64 throughout.
    [[nodiscard]] static bool sums_in_float(const PointCloud& points, Metric metric, bool in_double);
    /// Points on a tile's side.
    [[nodiscard]] static std::size_t tile_edge(bool in_float);
    /// Bytes of a band of so many rows, coordinates and marks.
    [[nodiscard]] static std::size_t packed_bytes(const PointCloud& points, bool in_float, std::size_t rows);
    [[nodiscard]] static std::size_t tiny_bytes(const PointCloud& points, bool in_float, std::size_t rows);
    /// Bytes of partial sums without which no tile can be computed; zero where sums go straight to distances.
    [[nodiscard]] static std::size_t least_partial_bytes(const PointCloud& points, bool in_float);
    /// Bytes that an object of this class holds itself.
    [[nodiscard]] static std::size_t own_bytes(const PointCloud& points, Metric metric, std::size_t n_order);

    [[nodiscard]] Device& device() const { return device_; }
    [[nodiscard]] const PointCloud& points() const { return points_; }
    [[nodiscard]] const Execution& execution() const { return execution_; }
    [[nodiscard]] Metric metric() const { return metric_; }
    [[nodiscard]] bool in_float() const { return in_float_; }
    [[nodiscard]] std::size_t edge() const { return tile_edge(in_float_); }
    [[nodiscard]] DeviceFindings* findings() const { return findings_.data(); }
    [[nodiscard]] PairSink sink(void* out, std::size_t stride) const;

    /// Forgets what was found so far.
    void clear_findings();
    /// The norms of the rows, where the metric asks for them.
    void find_norms();
    void pack(const PackedBand& band);
    /// The sums of all pairs of two bands, or (`upper`) of the upper triangle of one, to the sink. Keeps so many bytes of
    /// partial sums, if more than least_partial_bytes.
    void tiles(const PackedBand& a, const PackedBand& b, bool upper, std::size_t partial_bytes, const PairSink& sink);
    /// The pairs that tiles left for a second look.
    void rescue(const PairSink& sink);
    /// Distances of single pairs, to consecutive places of `out`.
    void list(const Edge* pairs, std::size_t count, void* out);
    [[nodiscard]] double* partials(std::size_t bytes);
    void drop_partials() { partials_.reset(); }
    /// Waits for all of it; throws InvalidInput for what was found.
    void finish();

private:
    [[nodiscard]] const RowNorm* norms() const { return norms_.data(); }
    [[nodiscard]] PairSums sums() const { return {points_, norms(), order_on_device_.data(), metric_}; }
    [[nodiscard]] std::size_t row(std::size_t point) const;
    [[noreturn]] void throw_non_finite(std::uint64_t place) const;

    Device& device_;
    PointCloud points_;
    Metric metric_;
    bool in_double_;
    bool in_float_;
    const Execution& execution_;
    std::span<const Vertex> order_;
    DeviceArray<DeviceFindings> findings_;
    DeviceArray<RowNorm> norms_;
    DeviceArray<Vertex> order_on_device_;
    std::optional<DeviceArray<std::byte>> partials_;
    std::size_t partial_bytes_ = 0;
};

}  // namespace adabet
