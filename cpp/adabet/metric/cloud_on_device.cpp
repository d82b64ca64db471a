#include "adabet/metric/cloud_on_device.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "adabet/errors.hpp"
#include "adabet/metric/pairwise_plan.hpp"

namespace adabet {

namespace {

constexpr std::size_t most_blocks = std::size_t{1} << 30;
constexpr std::size_t blocks_a_processor = 8;

std::size_t chunks_of(const PointCloud& points) { return chain::is_narrow(points.d) ? 1 : chain::n_chunks(points.d); }
std::size_t groups_of(const PointCloud& points) { return chain::ceil_div(chunks_of(points), chain::chunks_per_group); }

}  // namespace

bool CloudOnDevice::sums_in_float(const PointCloud& points, Metric metric, bool in_double) {
    return !chain::is_narrow(points.d) && !in_double && fits_float(points.scalar) &&
           (metric == Metric::euclidean || metric == Metric::sqeuclidean);
}

std::size_t CloudOnDevice::tile_edge(bool in_float) {
    return in_float ? TileKernel<float, SumOfSquares, false>::edge : TileKernel<double, SumOfSquares, false>::edge;
}

std::size_t CloudOnDevice::packed_bytes(const PointCloud& points, bool in_float, std::size_t rows) {
    return pair_maps::packed_columns(points.d) * rows * (in_float ? sizeof(float) : sizeof(double));
}

std::size_t CloudOnDevice::tiny_bytes(const PointCloud& points, bool in_float, std::size_t rows) {
    return in_float ? chain::n_chunks(points.d) * rows : 0;
}

std::size_t CloudOnDevice::least_partial_bytes(const PointCloud& points, bool in_float) {
    const std::size_t edge = tile_edge(in_float);
    return groups_of(points) > 1 ? edge * edge * groups_of(points) * sizeof(double) : 0;
}

std::size_t CloudOnDevice::own_bytes(const PointCloud& points, Metric metric, std::size_t n_order) {
    const bool has_norms = normalises(metric) && points.d > 0;
    return sizeof(DeviceFindings) + (has_norms ? points.n * sizeof(RowNorm) : 0) + n_order * sizeof(Vertex);
}

CloudOnDevice::CloudOnDevice(Device& device, const PointCloud& points, Metric metric, bool in_double,
                             const Execution& execution, std::span<const Vertex> order)
    : device_(device),
      points_(points),
      metric_(metric),
      in_double_(in_double),
      in_float_(sums_in_float(points, metric, in_double)),
      execution_(execution),
      order_(order),
      findings_(device, execution.budget, 1),
      norms_(device, execution.budget, normalises(metric) && points.d > 0 ? points.n : 0),
      order_on_device_(device, execution.budget, order.size()) {
    if (!order.empty()) device_.to_device(order_on_device_.data(), order.data(), order.size_bytes());
}

PairSink CloudOnDevice::sink(void* out, std::size_t stride) const {
    return {.out = out,
            .stride = stride,
            .n = points_.n,
            .metric = metric_,
            .in_double = in_double_,
            .findings = findings_.data()};
}

void CloudOnDevice::clear_findings() {
    static const DeviceFindings none;  // the copy may be read after the return
    device_.to_device(findings_.data(), &none, sizeof none);
}

void CloudOnDevice::find_norms() {
    if (normalises(metric_))
        device_.launch(
            NormKernel{.points = points_, .metric = metric_, .norms = norms_.data(), .findings = findings_.data()});
}

void CloudOnDevice::pack(const PackedBand& band) {
    if (in_float_) {
        device_.fill_zero(band.tiny, tiny_bytes(points_, true, band.ld));
        device_.launch(PackKernel<float>{points_, nullptr, band.first, band.rows, band.ld,
                                         reinterpret_cast<float*>(band.packed), band.tiny, findings_.data(),
                                         order_on_device_.data()});
    } else {
        device_.launch(PackKernel<double>{points_, norms(), band.first, band.rows, band.ld,
                                          reinterpret_cast<double*>(band.packed), nullptr, findings_.data(),
                                          order_on_device_.data()});
    }
}

double* CloudOnDevice::partials(std::size_t bytes) {
    if (!partials_ || partial_bytes_ < bytes) {
        partials_.reset();
        partials_.emplace(device_, execution_.budget, bytes);
        partial_bytes_ = bytes;
    }
    return reinterpret_cast<double*>(partials_->data());
}

/// Straight to distances where one group of columns and enough tiles are there, over partial sums of groups or chunks
/// otherwise.
void CloudOnDevice::tiles(const PackedBand& a, const PackedBand& b, bool upper, std::size_t partial_bytes,
                          const PairSink& sink) {
    const std::size_t tile = edge();
    TileArgs args{.packed_a = a.packed,
                  .packed_b = b.packed,
                  .ld_a = a.ld,
                  .ld_b = b.ld,
                  .tiny_a = a.tiny,
                  .tiny_b = b.tiny,
                  .first_a = a.first,
                  .first_b = b.first,
                  .d = points_.d,
                  .metric = metric_,
                  .in_float = in_float_,
                  .grid = {chain::ceil_div(a.rows, tile), upper ? 0 : chain::ceil_div(b.rows, tile)},
                  .first_tile = 0,
                  .n_tiles = 0,
                  .unit_chunks = chain::chunks_per_group,
                  .n_units = 1,
                  .partials = nullptr,
                  .sink = sink};
    const std::size_t all_tiles = args.grid.size();
    const std::size_t chunks = chunks_of(points_);
    const std::size_t tile_bytes = tile * tile * sizeof(double);
    const std::size_t wanted = std::size_t{4} * device_.multiprocessors();
    if (all_tiles * groups_of(points_) < wanted && all_tiles * chunks * tile_bytes <= partial_bytes)
        args.unit_chunks = 1;
    args.n_units = chain::ceil_div(chunks, args.unit_chunks);
    std::size_t tiles_a_launch = std::min(all_tiles, most_blocks / args.n_units);
    if (args.n_units > 1) {
        tiles_a_launch = std::clamp<std::size_t>(partial_bytes / (tile_bytes * args.n_units), 1, tiles_a_launch);
        args.partials = partials(tiles_a_launch * args.n_units * tile_bytes);
    }
    for (std::size_t first = 0; first < all_tiles; first += tiles_a_launch) {
        args.first_tile = first;
        args.n_tiles = std::min(tiles_a_launch, all_tiles - first);
        device_.launch(args);
        if (args.n_units == 1) continue;
        device_.launch(FinishKernel{.partials = args.partials,
                                    .n_units = args.n_units,
                                    .group_units = args.unit_chunks == 1 ? chain::chunks_per_group : 1,
                                    .grid = args.grid,
                                    .first_tile = first,
                                    .n_tiles = args.n_tiles,
                                    .edge = static_cast<unsigned>(tile),
                                    .first_a = a.first,
                                    .first_b = b.first,
                                    .sink = sink});
    }
}

void CloudOnDevice::rescue(const PairSink& sink) {
    device_.launch(RescueKernel{.sums = sums(),
                                .in_float = in_float_,
                                .sink = sink,
                                .n_blocks = std::size_t{device_.multiprocessors()} * blocks_a_processor});
}

void CloudOnDevice::list(const Edge* pairs, std::size_t count, void* out) {
    const std::size_t needed = chain::ceil_div(count, PairListKernel::threads);
    const std::size_t most = std::size_t{device_.multiprocessors()} * blocks_a_processor;
    device_.launch(PairListKernel{.sums = sums(),
                                  .in_float = in_float_,
                                  .sink = sink(out, 0),
                                  .pairs = pairs,
                                  .count = count,
                                  .n_blocks = std::min(needed, most)});
}

std::size_t CloudOnDevice::row(std::size_t point) const {
    return order_.empty() ? point : static_cast<std::size_t>(order_[point]);
}

void CloudOnDevice::finish() {
    DeviceFindings found;
    device_.to_host(&found, findings_.data(), sizeof found);
    device_.synchronize();
    if (found.non_finite != nowhere) throw_non_finite(found.non_finite);
    if (found.without_direction != nowhere) {
        const bool constant = metric_ == Metric::correlation;
        throw InvalidInput("x: row " + std::to_string(found.without_direction) +
                           (constant ? " is constant" : " is zero") + ", so it has no " +
                           (constant ? "correlation" : "cosine") +
                           " distance; drop such rows or choose another metric");
    }
    if (found.overflow != nowhere) {
        const auto [low, high] = std::minmax({row(found.overflow / points_.n), row(found.overflow % points_.n)});
        throw InvalidInput("x: the distance between rows " + std::to_string(low) + " and " + std::to_string(high) +
                           " overflows " +
                           (!in_double_ ? "float32 (largest value 3.4e38); rescale the points or use dtype=\"float64\""
                                        : "float64 (largest value 1.8e308); rescale the points"));
    }
}

void CloudOnDevice::throw_non_finite(std::uint64_t place) const {
    const std::size_t in_row = place / points_.d;
    const std::size_t column = place % points_.d;
    alignas(8) std::byte entry[8] = {};
    device_.to_host(entry, address_of(points_, in_row, column), size_of(points_.scalar));
    device_.synchronize();
    PointCloud one = points_;
    one.data = entry;
    const auto value = load<double>(one, 0, 0);
    const std::string spelled = std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
    throw InvalidInput("x: expected finite coordinates, got " + spelled + " at row " + std::to_string(in_row) +
                       ", column " + std::to_string(column));
}

}  // namespace adabet
