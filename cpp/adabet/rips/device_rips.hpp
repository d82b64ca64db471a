#pragma once

#include <memory>
#include <span>
#include <vector>

#include "adabet/execution.hpp"
#include "adabet/metric/device.hpp"
#include "adabet/rips/critical_device.hpp"
#include "adabet/rips/enclosing_radius.hpp"
#include "adabet/rips/lune_device.hpp"

namespace adabet {

/// Launches this floor's kernels on a device's stream.
template <class Real>
class LuneLaunches {
public:
    LuneLaunches() = default;
    LuneLaunches(const LuneLaunches&) = delete;
    LuneLaunches& operator=(const LuneLaunches&) = delete;
    virtual ~LuneLaunches() = default;

    virtual void launch(const RowRangeKernel<Real>& kernel) = 0;
    virtual void launch(const HistogramKernel<Real>& kernel) = 0;
    virtual void launch(const NeighbourhoodKernel<Real>& kernel) = 0;
    virtual void launch(const ApexKernel<Real>& kernel) = 0;
    virtual void launch(const CriticalKernel<Real>& kernel) = 0;
};

/// For a device that open_cuda_device gave. Throws Unavailable in a build without CUDA code.
template <class Real>
[[nodiscard]] std::unique_ptr<LuneLaunches<Real>> cuda_lune_launches(Device& device);

/// What the engine asks of a distance matrix in a device's memory. Device bytes are booked with `execution.budget`; results
/// are on the host, and their order and values do not depend on the device.
template <class Real>
class DeviceRips {
public:
    using Key = LengthKey<Real>;

    DeviceRips(Device& device, LuneLaunches<Real>& launches, const DeviceMatrix<Real>& matrix,
               const Execution& execution);

    /// Device bytes beside the matrix, unless there is more to find than is usual.
    [[nodiscard]] static std::size_t bytes(std::size_t n, unsigned multiprocessors);

    [[nodiscard]] std::size_t n() const { return matrix_.n; }
    /// As enclosing_radius of a matrix on the host.
    [[nodiscard]] EnclosingRadius<Real> enclosing_radius();
    /// As relative_neighbourhood_graph of a matrix on the host.
    [[nodiscard]] Buffer<RankedEdge<Real>> relative_neighbourhood_graph(Key longest, MemoryBudget& host);
    /// Last keys of stretches of the filtration up to `longest`, the first with about `first_count` edges, later ones with
    /// `growth` times as many each.
    struct Stretch {
        Key last;
        std::size_t edges;
    };
    [[nodiscard]] std::vector<Stretch> stretches(Key longest, std::size_t first_count, std::size_t growth);
    /// The critical edges with keys in [low, high], in the order of the filtration, components in theirs.
    [[nodiscard]] Buffer<CriticalRecord<Real>> critical_edges(Key low, Key high, MemoryBudget& host);
    /// The apex of each edge.
    using Found = ApexKernel<Real>::Found;
    [[nodiscard]] Buffer<Found> apexes(std::span<const RankedEdge<Real>> edges, MemoryBudget& host);

private:
    [[nodiscard]] std::size_t grid() const;
    void find_ranges();
    /// Runs fill(list) with a list in device memory until all fits, and brings it to the host.
    template <class T, class Fill>
    [[nodiscard]] Buffer<T> collect(std::size_t& capacity, MemoryBudget& host, const Fill& fill);

    Device& device_;
    LuneLaunches<Real>& launches_;
    DeviceMatrix<Real> matrix_;
    const Execution& execution_;
    std::vector<Key> least_;  ///< of each row
    std::vector<Key> most_;
    std::size_t graph_capacity_;
    std::size_t record_capacity_;
};

}  // namespace adabet
