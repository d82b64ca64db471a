#include "adabet/metric/pairwise_device.hpp"

#include <algorithm>

namespace adabet {

namespace {

constexpr std::size_t most_partial_bytes = std::size_t{1} << 28;

bool takes_few_rows(const PointCloud& points, bool in_float) {
    const bool halves = points.scalar == ScalarType::float16 || points.scalar == ScalarType::bfloat16;
    return in_float && ((halves && FewRowsKernel<Half>::takes(points)) ||
                        (points.scalar == ScalarType::float32 && FewRowsKernel<float>::takes(points)));
}

std::size_t few_rows_bytes(const PointCloud& points) {
    using Kernel = FewRowsKernel<float>;
    constexpr std::size_t tile_pairs = std::size_t{Kernel::edge} * Kernel::edge;
    return chain::n_chunks(points.d) * Kernel::n_tiles(points.n) * tile_pairs * sizeof(double);
}

}  // namespace

std::size_t least_pairwise_device_bytes(const PointCloud& points, Metric metric, bool in_double) {
    const bool in_float = CloudOnDevice::sums_in_float(points, metric, in_double);
    const std::size_t own = CloudOnDevice::own_bytes(points, metric, 0);
    if (points.n == 0 || points.d == 0) return own;
    if (takes_few_rows(points, in_float)) return own + few_rows_bytes(points);
    const std::size_t edge = CloudOnDevice::tile_edge(in_float);
    const std::size_t bands = points.n > edge ? 2 : 1;
    return own +
           bands * (CloudOnDevice::packed_bytes(points, in_float, edge) +
                    CloudOnDevice::tiny_bytes(points, in_float, edge)) +
           CloudOnDevice::least_partial_bytes(points, in_float);
}

template <class Real>
DistancesOnDevice<Real>::DistancesOnDevice(Device& device, const PointCloud& points, Metric metric, Real* out,
                                           std::size_t stride, const Execution& execution)
    : cloud_(device, points, metric, sizeof(Real) == sizeof(double), execution), sink_(cloud_.sink(out, stride)) {
    start();
}

template <class Real>
void DistancesOnDevice<Real>::start() {
    const PointCloud& points = cloud_.points();
    cloud_.execution().check();
    cloud_.clear_findings();
    if (points.n == 0) return;
    if (points.d == 0) {
        for (std::size_t i = 0; i < points.n; ++i)
            cloud_.device().fill_zero(static_cast<Real*>(sink_.out) + i * sink_.stride, points.n * sizeof(Real));
        return;
    }
    cloud_.find_norms();
    const std::size_t edge = cloud_.edge();
    std::size_t rows = chain::ceil_div(points.n, edge) * edge;
    std::size_t partial_bytes = most_partial_bytes;
    const auto retry = [&] {
        scratch_.clear();
        cloud_.drop_partials();
        if (rows == edge && partial_bytes == 1) return false;
        rows = std::max(edge, chain::ceil_div(rows / 2, edge) * edge);
        partial_bytes = std::max<std::size_t>(1, partial_bytes / 8);
        return true;
    };
    for (;;) {
        try {
            run(rows, partial_bytes);
            break;
        } catch (const DeviceOutOfMemory&) {
            if (!retry()) throw;
        } catch (const BudgetExceeded&) {
            if (!retry()) throw;
        }
    }
    cloud_.rescue(sink_);
    scratch_.clear();
    cloud_.drop_partials();
}

template <class Real>
void DistancesOnDevice<Real>::run(std::size_t band_rows, std::size_t partial_bytes) {
    const PointCloud& points = cloud_.points();
    if (takes_few_rows(points, cloud_.in_float())) return few_rows();

    const std::size_t packed_bytes = CloudOnDevice::packed_bytes(points, cloud_.in_float(), band_rows);
    const std::size_t tiny_bytes = CloudOnDevice::tiny_bytes(points, cloud_.in_float(), band_rows);
    const bool one_band = band_rows >= points.n;
    const auto scratch = [&](std::size_t bytes) {
        return scratch_.emplace_back(cloud_.device(), cloud_.execution().budget, bytes).data();
    };
    const auto marks = [&] { return reinterpret_cast<std::uint8_t*>(scratch(tiny_bytes)); };
    PackedBand a{.ld = band_rows, .packed = scratch(packed_bytes)};
    PackedBand b{.ld = band_rows, .packed = one_band ? nullptr : scratch(packed_bytes)};
    a.tiny = marks();
    if (!one_band) b.tiny = marks();
    const auto pack = [&](PackedBand& band, std::size_t first) {
        band.first = first;
        band.rows = std::min(band_rows, points.n - first);
        cloud_.pack(band);
    };
    for (std::size_t first_a = 0; first_a < points.n; first_a += band_rows) {
        pack(a, first_a);
        cloud_.execution().check();
        cloud_.tiles(a, a, true, partial_bytes, sink_);
        for (std::size_t first_b = first_a + band_rows; first_b < points.n; first_b += band_rows) {
            cloud_.execution().check();
            pack(b, first_b);
            cloud_.tiles(a, b, false, partial_bytes, sink_);
        }
    }
}

template <class Real>
void DistancesOnDevice<Real>::few_rows() {
    using Kernel = FewRowsKernel<float>;
    const PointCloud& points = cloud_.points();
    const std::size_t n_chunks = chain::n_chunks(points.d);
    double* const sums = cloud_.partials(few_rows_bytes(points));
    const auto blocks = static_cast<unsigned>(
        std::min<std::size_t>(n_chunks, std::max(1U, cloud_.device().multiprocessors() / Kernel::shares(points.n))));
    cloud_.device().launch(FewRowsArgs{points, blocks, sums, cloud_.findings()});
    cloud_.device().launch(FinishKernel{.partials = sums,
                                        .n_units = n_chunks,
                                        .group_units = chain::chunks_per_group,
                                        .grid = {chain::ceil_div(points.n, Kernel::edge), 0},
                                        .first_tile = 0,
                                        .n_tiles = Kernel::n_tiles(points.n),
                                        .edge = Kernel::edge,
                                        .first_a = 0,
                                        .first_b = 0,
                                        .sink = sink_});
}

template <class Real>
void pairwise_distances(Device& device, const PointCloud& points, Metric metric, Real* out, std::size_t stride,
                        const Execution& execution) {
    DistancesOnDevice<Real>(device, points, metric, out, stride, execution).finish();
}

template class DistancesOnDevice<float>;
template class DistancesOnDevice<double>;
template void pairwise_distances<float>(Device&, const PointCloud&, Metric, float*, std::size_t, const Execution&);
template void pairwise_distances<double>(Device&, const PointCloud&, Metric, double*, std::size_t, const Execution&);

}  // namespace adabet
