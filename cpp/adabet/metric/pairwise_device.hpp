#pragma once

#include <cstddef>
#include <vector>

#include "adabet/metric/cloud_on_device.hpp"
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

/// The same without waiting for the end: after finish() the distances are there. For many clouds on one stream.
template <class Real>
class DistancesOnDevice {
public:
    DistancesOnDevice(Device& device, const PointCloud& points, Metric metric, Real* out, std::size_t stride,
                      const Execution& execution);
    /// Waits, and throws what pairwise_distances throws.
    void finish() { cloud_.finish(); }

private:
    void start();
    void run(std::size_t band_rows, std::size_t partial_bytes);
    void few_rows();

    CloudOnDevice cloud_;
    PairSink sink_;
    std::vector<DeviceArray<std::byte>> scratch_;
};

/// Bytes that such a call takes at least, beside points and distances.
[[nodiscard]] std::size_t least_pairwise_device_bytes(const PointCloud& points, Metric metric, bool in_double);

}  // namespace adabet
