#include "adabet/metric/pairwise_device.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "adabet/metric/pairwise_plan.hpp"

namespace adabet {

namespace {

constexpr std::size_t most_partial_bytes = std::size_t{1} << 28;
constexpr std::size_t most_blocks = std::size_t{1} << 30;
constexpr std::size_t blocks_a_processor = 8;

std::size_t tile_edge(bool in_float) {
    return in_float ? TileKernel<float, SumOfSquares, false>::edge : TileKernel<double, SumOfSquares, false>::edge;
}

}  // namespace

template <class Real>
struct DistancesOnDevice<Real>::Bands {
    std::size_t rows;
    std::byte* packed_a;
    std::byte* packed_b;
    std::uint8_t* tiny_a;
    std::uint8_t* tiny_b;
};

template <class Real>
DistancesOnDevice<Real>::DistancesOnDevice(Device& device, const PointCloud& points, Metric metric, Real* out,
                                           std::size_t stride, const Execution& execution)
    : device_(device),
      points_(points),
      metric_(metric),
      execution_(execution),
      in_float_(!chain::is_narrow(points.d) && sizeof(Real) == sizeof(float) && fits_float(points.scalar) &&
                (metric == Metric::euclidean || metric == Metric::sqeuclidean)),
      sink_{.out = out,
            .stride = stride,
            .n = points.n,
            .metric = metric,
            .in_double = sizeof(Real) == sizeof(double),
            .findings = nullptr},
      findings_(device, execution.budget, 1),
      norms_(device, execution.budget, normalises(metric) && points.d > 0 ? points.n : 0) {
    sink_.findings = findings_.data();
    start();
}

template <class Real>
void DistancesOnDevice<Real>::start() {
    execution_.check();
    const DeviceFindings none;
    device_.to_device(findings_.data(), &none, sizeof none);
    if (points_.n == 0) return;
    if (points_.d == 0) {
        for (std::size_t i = 0; i < points_.n; ++i)
            device_.fill_zero(static_cast<Real*>(sink_.out) + i * sink_.stride, points_.n * sizeof(Real));
        return;
    }
    if (normalises(metric_))
        device_.launch(
            NormKernel{.points = points_, .metric = metric_, .norms = norms_.data(), .findings = findings_.data()});
    const std::size_t edge = tile_edge(in_float_);
    std::size_t rows = chain::ceil_div(points_.n, edge) * edge;
    std::size_t partial_bytes = most_partial_bytes;
    const auto retry = [&] {
        scratch_.clear();
        partials_.reset();
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
    device_.launch(RescueKernel{.points = points_,
                                .in_float = in_float_,
                                .sink = sink_,
                                .n_blocks = std::size_t{device_.multiprocessors()} * blocks_a_processor});
    scratch_.clear();
    partials_.reset();
}

template <class Real>
void DistancesOnDevice<Real>::run(std::size_t band_rows, std::size_t partial_bytes) {
    const bool halves = points_.scalar == ScalarType::float16 || points_.scalar == ScalarType::bfloat16;
    if (in_float_ && ((halves && FewRowsKernel<Half>::takes(points_)) ||
                      (points_.scalar == ScalarType::float32 && FewRowsKernel<float>::takes(points_))))
        return few_rows();

    const std::size_t element = in_float_ ? sizeof(float) : sizeof(double);
    const std::size_t packed_bytes = pair_maps::packed_columns(points_.d) * band_rows * element;
    const std::size_t tiny_bytes = in_float_ ? chain::n_chunks(points_.d) * band_rows : 0;
    const bool one_band = band_rows >= points_.n;
    Bands bands{.rows = band_rows, .packed_a = nullptr, .packed_b = nullptr, .tiny_a = nullptr, .tiny_b = nullptr};
    const auto scratch = [&](std::size_t bytes) {
        return scratch_.emplace_back(device_, execution_.budget, bytes).data();
    };
    bands.packed_a = scratch(packed_bytes);
    bands.packed_b = one_band ? bands.packed_a : scratch(packed_bytes);
    bands.tiny_a = reinterpret_cast<std::uint8_t*>(scratch(tiny_bytes));
    bands.tiny_b = one_band ? bands.tiny_a : reinterpret_cast<std::uint8_t*>(scratch(tiny_bytes));

    const auto pack = [&](std::size_t first, std::byte* packed, std::uint8_t* tiny) {
        const std::size_t rows = std::min(band_rows, points_.n - first);
        if (in_float_) {
            device_.fill_zero(tiny, tiny_bytes);
            device_.launch(PackKernel<float>{points_, nullptr, first, rows, band_rows, reinterpret_cast<float*>(packed),
                                             tiny, findings_.data()});
        } else {
            device_.launch(PackKernel<double>{points_, norms_.data(), first, rows, band_rows,
                                              reinterpret_cast<double*>(packed), nullptr, findings_.data()});
        }
    };
    for (std::size_t first_a = 0; first_a < points_.n; first_a += band_rows) {
        pack(first_a, bands.packed_a, bands.tiny_a);
        for (std::size_t first_b = first_a; first_b < points_.n; first_b += band_rows) {
            execution_.check();
            if (first_b > first_a) pack(first_b, bands.packed_b, bands.tiny_b);
            tiles(bands, first_a, first_b, partial_bytes);
        }
    }
}

template <class Real>
void DistancesOnDevice<Real>::few_rows() {
    using Kernel = FewRowsKernel<float>;
    const std::size_t n_chunks = chain::n_chunks(points_.d);
    const std::size_t tiles = Kernel::n_tiles(points_.n);
    constexpr std::size_t tile_pairs = std::size_t{Kernel::edge} * Kernel::edge;
    double* const sums = partials(n_chunks * tiles * tile_pairs * sizeof(double));
    const auto blocks = static_cast<unsigned>(
        std::min<std::size_t>(n_chunks, std::max(1U, device_.multiprocessors() / Kernel::shares(points_.n))));
    device_.launch(FewRowsArgs{points_, blocks, sums, findings_.data()});
    device_.launch(FinishKernel{.partials = sums,
                                .n_units = n_chunks,
                                .group_units = chain::chunks_per_group,
                                .grid = {chain::ceil_div(points_.n, Kernel::edge), 0},
                                .first_tile = 0,
                                .n_tiles = tiles,
                                .edge = Kernel::edge,
                                .first_a = 0,
                                .first_b = 0,
                                .sink = sink_});
}

template <class Real>
double* DistancesOnDevice<Real>::partials(std::size_t bytes) {
    if (!partials_ || partial_bytes_ < bytes) {
        partials_.reset();
        partials_.emplace(device_, execution_.budget, bytes);
        partial_bytes_ = bytes;
    }
    return reinterpret_cast<double*>(partials_->data());
}

/// The tiles of two bands of packed rows: straight to distances where one group of columns and enough tiles are there,
/// over partial sums of groups or chunks otherwise.
template <class Real>
void DistancesOnDevice<Real>::tiles(const Bands& bands, std::size_t first_a, std::size_t first_b,
                                    std::size_t partial_bytes) {
    const std::size_t edge = tile_edge(in_float_);
    const auto tiles_of = [&](std::size_t first) {
        return chain::ceil_div(std::min(bands.rows, points_.n - first), edge);
    };
    const bool same = first_a == first_b;
    TileArgs args{.packed_a = bands.packed_a,
                  .packed_b = same ? bands.packed_a : bands.packed_b,
                  .ld_a = bands.rows,
                  .ld_b = bands.rows,
                  .tiny_a = bands.tiny_a,
                  .tiny_b = same ? bands.tiny_a : bands.tiny_b,
                  .first_a = first_a,
                  .first_b = first_b,
                  .d = points_.d,
                  .metric = metric_,
                  .in_float = in_float_,
                  .grid = {tiles_of(first_a), same ? 0 : tiles_of(first_b)},
                  .first_tile = 0,
                  .n_tiles = 0,
                  .unit_chunks = chain::chunks_per_group,
                  .n_units = 1,
                  .partials = nullptr,
                  .sink = sink_};
    const std::size_t all_tiles = args.grid.size();
    const std::size_t chunks = chain::is_narrow(points_.d) ? 1 : chain::n_chunks(points_.d);
    const std::size_t groups = chain::ceil_div(chunks, chain::chunks_per_group);
    const std::size_t tile_bytes = edge * edge * sizeof(double);
    const std::size_t wanted = std::size_t{4} * device_.multiprocessors();
    if (all_tiles * groups < wanted && all_tiles * chunks * tile_bytes <= partial_bytes) args.unit_chunks = 1;
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
                                    .edge = static_cast<unsigned>(edge),
                                    .first_a = first_a,
                                    .first_b = first_b,
                                    .sink = sink_});
    }
}

template <class Real>
void DistancesOnDevice<Real>::finish() {
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
        throw InvalidInput("x: the distance between rows " + std::to_string(found.overflow / points_.n) + " and " +
                           std::to_string(found.overflow % points_.n) + " overflows " +
                           (sizeof(Real) == sizeof(float)
                                ? "float32 (largest value 3.4e38); rescale the points or use dtype=\"float64\""
                                : "float64 (largest value 1.8e308); rescale the points"));
    }
}

template <class Real>
void DistancesOnDevice<Real>::throw_non_finite(std::uint64_t place) const {
    const std::size_t row = place / points_.d;
    const std::size_t column = place % points_.d;
    alignas(8) std::byte entry[8] = {};
    device_.to_host(entry, address_of(points_, row, column), size_of(points_.scalar));
    device_.synchronize();
    PointCloud one = points_;
    one.data = entry;
    const auto value = load<double>(one, 0, 0);
    const std::string spelled = std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
    throw InvalidInput("x: expected finite coordinates, got " + spelled + " at row " + std::to_string(row) +
                       ", column " + std::to_string(column));
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
