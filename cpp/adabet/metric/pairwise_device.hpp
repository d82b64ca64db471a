#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "adabet/metric/device.hpp"
#include "adabet/metric/pairwise.hpp"

namespace adabet {

/// pairwise_distances on a device: points and `out` lie in its memory, and `execution.budget` counts bytes of it. The bits
/// are those of the CPU. Where memory is short, rows are packed in bands and sums kept for fewer tiles at a time.
/// Throws as pairwise_distances does; DeviceOutOfMemory where the smallest bands are too large; Unavailable where the
/// device fails.
template <class Real>
void pairwise_distances(Device& device, const PointCloud& points, Metric metric, Real* out, std::size_t stride,
                        const Execution& execution);

/// The same without waiting for the end: `findings` (device memory) is read by finish_distances, after which the distances
/// are there. For many clouds on one stream.
template <class Real>
class DistancesOnDevice {
public:
    DistancesOnDevice(Device& device, const PointCloud& points, Metric metric, Real* out, std::size_t stride,
                      const Execution& execution);
    /// Waits, and throws what pairwise_distances throws.
    void finish();

private:
    struct Bands;

    void start();
    void run(std::size_t band_rows, std::size_t partial_bytes);
    void few_rows();
    void tiles(const Bands& bands, std::size_t first_a, std::size_t first_b, std::size_t partial_bytes);
    [[nodiscard]] double* partials(std::size_t bytes);
    [[noreturn]] void throw_non_finite(std::uint64_t place) const;

    Device& device_;
    PointCloud points_;
    Metric metric_;
    const Execution& execution_;
    bool in_float_;
    PairSink sink_;
    DeviceArray<DeviceFindings> findings_;
    DeviceArray<RowNorm> norms_;
    std::vector<DeviceArray<std::byte>> scratch_;
    std::optional<DeviceArray<std::byte>> partials_;
    std::size_t partial_bytes_ = 0;
};

}  // namespace adabet
