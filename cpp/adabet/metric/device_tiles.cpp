#include "adabet/metric/device_tiles.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace adabet {

namespace {

/// Strips take no more of the host's budget than one part in this many.
constexpr std::size_t strip_share = 16;
constexpr std::size_t least_strip_rows = 64;
constexpr std::size_t most_strip_rows = 512;
constexpr std::size_t usual_strip_bytes = std::size_t{32} << 20U;
/// A tile this much longer than wide is one of a row of them.
constexpr std::size_t strip_shape = 8;
/// Rows that a reader keeps for single distances.
constexpr std::size_t rows_kept = 16;

}  // namespace

template <class Real>
auto DeviceTiles<Real>::strips_for(std::size_t n, int n_threads, std::size_t host_limit) -> Strips {
    if (n < 2 * least_strip_rows) return {};
    const std::size_t row = n * sizeof(Real);
    const std::size_t rows_in_all = host_limit / strip_share / row;
    const auto threads = static_cast<std::size_t>(std::max(1, n_threads));
    const std::size_t count = std::min(threads + 1, rows_in_all / least_strip_rows);
    if (count < 2) return {};
    const std::size_t rows =
        std::min({rows_in_all / count, most_strip_rows, std::max(least_strip_rows, usual_strip_bytes / row)});
    return {.count = count, .rows = rows / least_strip_rows * least_strip_rows};
}

template <class Real>
std::size_t DeviceTiles<Real>::host_bytes(std::size_t n, int n_threads, std::size_t host_limit) {
    const Strips strips = strips_for(n, n_threads, host_limit);
    return (strips.count * strips.rows + rows_kept) * n * sizeof(Real);
}

template <class Real>
DeviceTiles<Real>::DeviceTiles(Device& device, const PointCloud& points, Metric metric, std::span<const Vertex> order,
                               MemoryBudget& on_device, MemoryBudget& host, int n_threads)
    : execution_{.budget = on_device}, device_(device), panels_(device, points, metric, order, execution_) {
    const Strips strips = strips_for(points.n, n_threads, host.limit());
    const auto threads = static_cast<std::size_t>(std::max(1, n_threads));
    strip_rows_ = strips.rows;
    patience_ = strips.count > threads ? 0 : 2 * threads;
    for (std::size_t k = 0; k < strips.count; ++k) strips_.push_back(std::make_unique<Strip>(host));
}

template <class Real>
auto DeviceTiles<Real>::hold(std::size_t number) const -> Strip* {
    const std::lock_guard lock(mutex_);
    ++uses_;
    Strip* oldest = nullptr;
    for (const auto& strip : strips_) {
        if (strip->number == number) {
            strip->last_use = uses_;
            ++strip->readers;
            return strip.get();
        }
        if (strip->readers == 0 && (oldest == nullptr || strip->last_use < oldest->last_use)) oldest = strip.get();
    }
    if (oldest == nullptr || (oldest->number != none && uses_ - oldest->last_use < patience_)) return nullptr;
    oldest->number = none;  // until it is read
    oldest->values.resize(strip_rows_ * n());
    const PointRange rows{number * strip_rows_, std::min(n(), (number + 1) * strip_rows_)};
    device_.lend_to_this_thread();
    panels_.read(rows, {0, n()}, oldest->values.data(), n());
    oldest->number = number;
    oldest->last_use = uses_;
    ++oldest->readers;
    return oldest;
}

template <class Real>
void DeviceTiles<Real>::read_now(PointRange rows, PointRange columns, Real* out, std::size_t stride) const {
    const std::lock_guard lock(mutex_);
    device_.lend_to_this_thread();
    panels_.read(rows, columns, out, stride);
}

template <class Real>
class DeviceTiles<Real>::Reader final : public TileReader<Real> {
public:
    Reader(const DeviceTiles& tiles, MemoryBudget& budget) : tiles_(tiles), rows_(make_buffer<Real>(budget)) {
        kept_.fill(none);
    }

    void read(PointRange rows, PointRange columns, Real* out, std::size_t stride) override {
        const bool by_rows = rows.size() <= columns.size();
        const PointRange narrow = by_rows ? rows : columns;
        const PointRange wide = by_rows ? columns : rows;
        const std::size_t n = tiles_.n();
        const std::size_t height = tiles_.strip_rows_;
        const bool is_part = narrow.size() > 0 && wide.size() >= strip_shape * narrow.size() && 2 * wide.size() <= n;
        if (height == 0 || !is_part || narrow.begin / height != (narrow.end - 1) / height)
            return tiles_.read_now(rows, columns, out, stride);
        Strip* const strip = tiles_.hold(narrow.begin / height);
        if (strip == nullptr) return tiles_.read_now(rows, columns, out, stride);
        const Real* const from = strip->values.data();
        const std::size_t first = strip->number * height;
        if (by_rows) {
            for (std::size_t i = rows.begin; i < rows.end; ++i)
                std::copy_n(from + (i - first) * n + columns.begin, columns.size(), out + (i - rows.begin) * stride);
        } else {
            for (std::size_t j = columns.begin; j < columns.end; ++j)
                for (std::size_t i = rows.begin; i < rows.end; ++i)
                    out[(i - rows.begin) * stride + (j - columns.begin)] = from[(j - first) * n + i];
        }
        --strip->readers;
    }

    /// From a row that is kept, if either end has one. Those who ask for one distance ask for more of a row: that of the end
    /// that the last question had too.
    [[nodiscard]] Real at(std::size_t i, std::size_t j) override {
        const std::size_t n = tiles_.n();
        if (j == last_.a || j == last_.b) std::swap(i, j);
        last_ = {i, j};
        for (std::size_t k = 0; k < rows_kept; ++k) {
            if (kept_[k] != i && kept_[k] != j) continue;
            used_[k] = ++uses_;
            return rows_[k * n + (kept_[k] == i ? j : i)];
        }
        if (rows_.empty()) rows_.resize(rows_kept * n);
        const auto k = static_cast<std::size_t>(std::min_element(used_.begin(), used_.end()) - used_.begin());
        kept_[k] = none;
        tiles_.read_now({i, i + 1}, {0, n}, rows_.data() + k * n, n);
        kept_[k] = i;
        used_[k] = ++uses_;
        return rows_[k * n + j];
    }

    void read_pairs(std::span<const Edge> pairs, Real* out) override {
        const std::lock_guard lock(tiles_.mutex_);
        tiles_.device_.lend_to_this_thread();
        tiles_.panels_.read(pairs, out);
    }

private:
    const DeviceTiles& tiles_;
    Buffer<Real> rows_;
    std::array<std::size_t, rows_kept> kept_{};
    std::array<std::size_t, rows_kept> used_{};
    std::size_t uses_ = 0;
    struct {
        std::size_t a = none;
        std::size_t b = none;
    } last_;
};

template <class Real>
std::unique_ptr<TileReader<Real>> DeviceTiles<Real>::reader(MemoryBudget& budget) const {
    return std::make_unique<Reader>(*this, budget);
}

template class DeviceTiles<float>;
template class DeviceTiles<double>;

}  // namespace adabet
