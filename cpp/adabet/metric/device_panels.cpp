#include "adabet/metric/device_panels.hpp"

#include <algorithm>

namespace adabet {

namespace {

constexpr std::size_t most_partial_bytes = std::size_t{1} << 28;
/// Larger panels are computed no faster.
constexpr std::size_t most_panel_bytes = std::size_t{1} << 30;
/// One part in this many stays free for partial sums.
constexpr std::size_t partial_share = 8;

std::size_t whole_tiles(std::size_t rows, std::size_t edge) { return chain::ceil_div(rows, edge) * edge; }

}  // namespace

PanelLayout panel_layout(const PointCloud& points, Metric metric, std::size_t real_size, std::size_t n_order,
                         std::size_t available_bytes) {
    const bool in_float = CloudOnDevice::sums_in_float(points, metric, real_size == sizeof(double));
    const std::size_t edge = CloudOnDevice::tile_edge(in_float);
    const std::size_t n = points.n;
    const std::size_t all = std::max(edge, whole_tiles(n, edge));
    const std::size_t least_partials = points.d == 0 ? 0 : CloudOnDevice::least_partial_bytes(points, in_float);
    PanelLayout layout;
    if (least_partials > 0)
        layout.partial_bytes = std::max(least_partials, std::min(most_partial_bytes, available_bytes / partial_share));
    const std::size_t own = CloudOnDevice::own_bytes(points, metric, n_order) + layout.partial_bytes;
    const auto band = [&](std::size_t rows) {
        return points.d == 0 ? 0
                             : CloudOnDevice::packed_bytes(points, in_float, rows) +
                                   CloudOnDevice::tiny_bytes(points, in_float, rows);
    };
    const std::size_t strip = edge * n * real_size;
    const std::size_t once = own + band(all);
    if (once + strip <= available_bytes) {
        const std::size_t strips =
            std::min((available_bytes - once) / strip, std::max(most_panel_bytes / strip, std::size_t{1}));
        layout.rows = std::min(all, strips * edge);
        layout.columns = n;
        layout.is_packed_once = true;
        layout.bytes = once + std::min(layout.rows, n) * n * real_size;
        return layout;
    }
    std::size_t side = all;
    const auto bytes = [&] { return own + 2 * band(side) + side * side * real_size; };
    while (side > edge && bytes() > available_bytes) side = std::max(edge, side / 2 / edge * edge);
    layout.rows = side;
    layout.columns = side;
    layout.bytes = bytes();
    return layout;
}

std::size_t least_panel_bytes(const PointCloud& points, Metric metric, std::size_t real_size, std::size_t n_order) {
    return panel_layout(points, metric, real_size, n_order, 0).bytes;
}

template <class Real>
DevicePanels<Real>::DevicePanels(Device& device, const PointCloud& points, Metric metric, std::span<const Vertex> order,
                                 const Execution& execution)
    : cloud_(device, points, metric, sizeof(Real) == sizeof(double), execution, order), n_order_(order.size()) {
    if (points.n == 0 || points.d == 0) return;
    prepare();
    look_through();
}

/// Beside what the cloud itself holds by now.
template <class Real>
std::size_t DevicePanels<Real>::available() const {
    const MemoryBudget& budget = cloud_.execution().budget;
    const std::size_t own =
        CloudOnDevice::own_bytes(cloud_.points(), cloud_.metric(), n_order_);  // a part of what is used
    const std::size_t left = budget.limit() - std::min(budget.limit(), budget.used());
    const std::size_t free = std::min(left, cloud_.device().free_bytes());
    return free > static_cast<std::size_t>(-1) - own ? free : free + own;
}

/// Memory that is shared may be gone, or in pieces, by the time it is asked for.
template <class Real>
void DevicePanels<Real>::prepare() {
    const auto layout_within = [&](std::size_t bytes) {
        return panel_layout(cloud_.points(), cloud_.metric(), sizeof(Real), n_order_, bytes);
    };
    layout_ = layout_within(available());
    for (;;) {
        try {
            return allocate();
        } catch (const DeviceOutOfMemory&) {
            memory_.clear();
            cloud_.drop_partials();
            const PanelLayout smaller = layout_within(layout_.bytes - layout_.bytes / 4);
            if (smaller.bytes >= layout_.bytes) throw;
            layout_ = smaller;
        }
    }
}

template <class Real>
void DevicePanels<Real>::allocate() {
    const std::size_t edge = cloud_.edge();
    const auto bytes_on_device = [&](std::size_t bytes) {
        return memory_.emplace_back(cloud_.device(), cloud_.execution().budget, bytes).data();
    };
    const auto band = [&](std::size_t rows) {
        PackedBand made;
        made.ld = rows;
        made.packed = bytes_on_device(CloudOnDevice::packed_bytes(cloud_.points(), cloud_.in_float(), rows));
        made.tiny = reinterpret_cast<std::uint8_t*>(
            bytes_on_device(CloudOnDevice::tiny_bytes(cloud_.points(), cloud_.in_float(), rows)));
        return made;
    };
    first_ = band(layout_.is_packed_once ? whole_tiles(n(), edge) : layout_.rows);
    if (!layout_.is_packed_once) second_ = band(layout_.columns);
    out_bytes_ = (layout_.is_packed_once ? std::min(layout_.rows, n()) : layout_.rows) * layout_.columns * sizeof(Real);
    out_bytes_ = std::max(out_bytes_, sizeof(Edge) + sizeof(Real));
    out_ = bytes_on_device(out_bytes_);
    if (layout_.partial_bytes > 0) static_cast<void>(cloud_.partials(layout_.partial_bytes));
}

/// Packs all rows once: what is wrong with a coordinate is found on the way.
template <class Real>
void DevicePanels<Real>::look_through() {
    cloud_.clear_findings();
    cloud_.find_norms();
    for (std::size_t begin = 0; begin < n(); begin += first_.ld) {
        cloud_.execution().check();
        pack(first_, {begin, std::min(n(), begin + first_.ld)});
    }
    cloud_.finish();
}

template <class Real>
void DevicePanels<Real>::pack(PackedBand& band, PointRange points) {
    band.first = points.begin;
    band.rows = points.size();
    cloud_.pack(band);
}

/// Of all points, packed: the tiles that these lie in.
template <class Real>
PackedBand DevicePanels<Real>::band_of(PointRange points) const {
    const std::size_t begin = points.begin / cloud_.edge() * cloud_.edge();
    PackedBand band = first_;
    band.first = begin;
    band.rows = points.end - begin;
    band.packed += begin * (cloud_.in_float() ? sizeof(float) : sizeof(double));
    band.tiny += cloud_.in_float() ? begin : 0;
    return band;
}

template <class Real>
void DevicePanels<Real>::read(PointRange rows, PointRange columns, Real* host, std::size_t stride) {
    if (rows.size() == 0 || columns.size() == 0) return;
    if (cloud_.points().d == 0) {
        for (std::size_t i = 0; i < rows.size(); ++i) std::fill_n(host + i * stride, columns.size(), Real{0});
        return;
    }
    Device& device = cloud_.device();
    for (std::size_t i = rows.begin; i < rows.end; i += layout_.rows) {
        const PointRange some_rows{i, std::min(rows.end, i + layout_.rows)};
        cloud_.clear_findings();
        if (!layout_.is_packed_once) pack(first_, some_rows);
        for (std::size_t j = columns.begin; j < columns.end; j += layout_.columns) {
            cloud_.execution().check();
            const PointRange some_columns{j, std::min(columns.end, j + layout_.columns)};
            if (!layout_.is_packed_once) pack(second_, some_columns);
            PairSink sink = cloud_.sink(out_, some_columns.size());
            sink.first_row = some_rows.begin;
            sink.first_column = some_columns.begin;
            sink.rows = some_rows.size();
            sink.columns = some_columns.size();
            cloud_.tiles(layout_.is_packed_once ? band_of(some_rows) : first_,
                         layout_.is_packed_once ? band_of(some_columns) : second_, false, layout_.partial_bytes, sink);
            cloud_.rescue(sink);
            device.to_host_rows(host + (some_rows.begin - rows.begin) * stride + (some_columns.begin - columns.begin),
                                stride * sizeof(Real), out_, some_columns.size() * sizeof(Real),
                                some_columns.size() * sizeof(Real), some_rows.size());
        }
        cloud_.finish();
    }
}

template <class Real>
void DevicePanels<Real>::read(std::span<const Edge> pairs, Real* host) {
    if (cloud_.points().d == 0) return static_cast<void>(std::fill_n(host, pairs.size(), Real{0}));
    const std::size_t most = out_bytes_ / (sizeof(Edge) + sizeof(Real));
    Device& device = cloud_.device();
    for (std::size_t begin = 0; begin < pairs.size(); begin += most) {
        cloud_.execution().check();
        const std::size_t count = std::min(most, pairs.size() - begin);
        cloud_.clear_findings();
        device.to_device(out_, pairs.data() + begin, count * sizeof(Edge));
        std::byte* const distances = out_ + count * sizeof(Edge);
        cloud_.list(reinterpret_cast<const Edge*>(out_), count, distances);
        device.to_host(host + begin, distances, count * sizeof(Real));
        cloud_.finish();
    }
}

template class DevicePanels<float>;
template class DevicePanels<double>;

}  // namespace adabet
