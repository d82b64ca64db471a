#pragma once

#include <cstddef>

#include "adabet/metric/pairwise.hpp"
#include "adabet/metric/point_cloud.hpp"

namespace adabet {

/// Up to this many points the host counts, on a copy of the distances: questions to a device would take longer.
inline constexpr std::size_t most_host_points = 512;

/// Where the distances of a cloud are kept while a barcode is made with a device.
enum class DevicePlanKind {
    on_device,  ///< a matrix in the device's memory
    on_host,    ///< a matrix on the host, computed by the device a panel of rows at a time
    streamed    ///< nowhere: the device computes them anew, a strip of rows at a time, whenever the host looks at them
};

/// Chosen before anything is allocated.
struct DevicePlan {
    DevicePlanKind kind = DevicePlanKind::on_device;
    std::size_t device = 0;  ///< bytes of the device that follow from n and d, points that are copied to it included
    std::size_t host = 0;    ///< bytes of the host that follow from n and threads
};

/// What a device and the host allow, and what the device does.
struct DeviceRoom {
    std::size_t device_bytes;
    std::size_t host_bytes;
    unsigned multiprocessors;
    int n_threads;
    bool points_are_there;  ///< in the device's memory
};

/// Bytes of a copy of the points.
[[nodiscard]] std::size_t point_bytes(const PointCloud& points);

/// The quickest plan that fits; where none does, the one that needs least. `may_be_on_device` = false leaves that one out.
[[nodiscard]] DevicePlan plan_on_device(const PointCloud& points, Metric metric, std::size_t real_size,
                                        const DeviceRoom& room, bool may_be_on_device = true);

/// Throws BudgetExceeded, naming device or host, where a plan does not fit.
void refuse_beyond(const DevicePlan& plan, const PointCloud& points, const DeviceRoom& room);

}  // namespace adabet
