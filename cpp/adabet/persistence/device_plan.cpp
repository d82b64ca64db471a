#include "adabet/persistence/device_plan.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "adabet/errors.hpp"
#include "adabet/metric/device_tiles.hpp"
#include "adabet/metric/pairwise_device.hpp"
#include "adabet/persistence/limits.hpp"
#include "adabet/persistence/plan.hpp"
#include "adabet/rips/device_rips.hpp"

namespace adabet {

namespace {

/// Beyond this many points n^2 doubles cannot be addressed, and products of sizes would wrap.
constexpr std::size_t most_points = std::size_t{1} << 29;

std::size_t less(std::size_t a, std::size_t b) { return a > b ? a - b : 0; }

/// Births and critical cells need room on the host too.
bool fits_host(std::size_t bytes, std::size_t limit) { return bytes <= limit - limit / 8; }

std::size_t rips_bytes(std::size_t n, std::size_t real_size, unsigned multiprocessors) {
    return real_size == sizeof(float) ? DeviceRips<float>::bytes(n, multiprocessors)
                                      : DeviceRips<double>::bytes(n, multiprocessors);
}

std::size_t tiles_host_bytes(std::size_t n, std::size_t real_size, const DeviceRoom& room) {
    return real_size == sizeof(float) ? DeviceTiles<float>::host_bytes(n, room.n_threads, room.host_bytes)
                                      : DeviceTiles<double>::host_bytes(n, room.n_threads, room.host_bytes);
}

}  // namespace

std::size_t point_bytes(const PointCloud& points) { return points.n * points.d * size_of(points.scalar); }

DevicePlan plan_on_device(const PointCloud& points, Metric metric, std::size_t real_size, const DeviceRoom& room,
                          bool may_be_on_device) {
    const std::size_t n = points.n;
    constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();
    if (n > most_points) return {DevicePlanKind::streamed, unbounded, unbounded};
    const std::size_t matrix = n * n * real_size;
    const std::size_t copy = room.points_are_there ? 0 : point_bytes(points);
    const bool in_double = real_size == sizeof(double);
    const auto with_run = [&](std::size_t held, bool resident) {
        return held + run_limits(n, real_size, resident, room.n_threads, less(room.host_bytes, held)).fixed_bytes;
    };

    DevicePlan there{DevicePlanKind::on_device, copy + matrix + least_pairwise_device_bytes(points, metric, in_double),
                     0};
    if (n > most_host_points)
        there.device = std::max(there.device, copy + matrix + rips_bytes(n, real_size, room.multiprocessors));
    else
        there.host = with_run(matrix, true);
    if (may_be_on_device && there.device <= room.device_bytes && there.host <= room.host_bytes) return there;

    const std::size_t n_order = is_ordered_first(points) ? n : 0;
    const std::size_t panels = copy + least_panel_bytes(points, metric, real_size, n_order);
    const DevicePlan by_matrix{DevicePlanKind::on_host, panels, with_run(matrix + n_order * sizeof(Vertex), true)};
    const DevicePlan by_strips{DevicePlanKind::streamed, panels,
                               with_run(n_order * sizeof(Vertex) + tiles_host_bytes(n, real_size, room), false)};
    if (fits_host(by_matrix.host, room.host_bytes)) return by_matrix;
    if (fits_host(by_strips.host, room.host_bytes)) return by_strips;
    return by_matrix.host <= by_strips.host ? by_matrix : by_strips;
}

void refuse_beyond(const DevicePlan& plan, const PointCloud& points, const DeviceRoom& room) {
    const std::string what = std::to_string(points.n) + " points";
    if (plan.device > room.device_bytes)
        throw DeviceBudgetExceeded(room.device_bytes, plan.device, what + " in the device's memory");
    if (plan.host > room.host_bytes) throw BudgetExceeded(room.host_bytes, plan.host, what + " in the host's memory");
}

}  // namespace adabet
