#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "adabet/metric/device_panels.hpp"
#include "adabet/metric/distance_tiles.hpp"

namespace adabet {

/// Tiles that a device computes from points in its memory, and what is kept of them on the host: strips of whole rows, since
/// those who look at one tile look at its neighbours next. The device works for one reader at a time.
template <class Real>
class DeviceTiles final : public DistanceTiles<Real> {
public:
    /// `on_device` books device bytes, `host` those of the strips; the points and an `order` must outlive this.
    DeviceTiles(Device& device, const PointCloud& points, Metric metric, std::span<const Vertex> order,
                MemoryBudget& on_device, MemoryBudget& host, int n_threads);

    [[nodiscard]] std::size_t n() const override { return panels_.n(); }
    [[nodiscard]] std::unique_ptr<TileReader<Real>> reader(MemoryBudget& budget) const override;
    [[nodiscard]] bool are_far() const override { return true; }

    struct Strips {
        std::size_t count;
        std::size_t rows;  ///< of each
    };
    /// One more than threads, so that there is always one to read anew, or as many as the host has memory to spare for; none
    /// where it has not for two.
    [[nodiscard]] static Strips strips_for(std::size_t n, int n_threads, std::size_t host_limit);
    /// Bytes of the host that strips, and the rows that readers keep, take.
    [[nodiscard]] static std::size_t host_bytes(std::size_t n, int n_threads, std::size_t host_limit);

private:
    class Reader;
    struct Strip {
        explicit Strip(MemoryBudget& budget) : values(make_buffer<Real>(budget)) {}

        Buffer<Real> values;
        std::size_t number = none;
        std::size_t last_use = 0;
        std::atomic<int> readers{0};
    };
    static constexpr std::size_t none = static_cast<std::size_t>(-1);

    /// A strip that stays until its `readers` are counted down; null where none is free. Where there are fewer than threads,
    /// one is taken from its readers only when they have not come back for it in a while: all would read anew in turn.
    [[nodiscard]] Strip* hold(std::size_t number) const;
    void read_now(PointRange rows, PointRange columns, Real* out, std::size_t stride) const;

    const Execution execution_;  ///< without a checkpoint: any thread may read
    Device& device_;
    mutable std::mutex mutex_;  ///< of everything below
    mutable DevicePanels<Real> panels_;
    std::size_t strip_rows_ = 0;
    std::size_t patience_ = 0;  ///< uses of strips until one that was not used is free
    mutable std::vector<std::unique_ptr<Strip>> strips_;
    mutable std::size_t uses_ = 0;
};

}  // namespace adabet
