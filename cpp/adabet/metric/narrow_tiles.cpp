#include <algorithm>
#include <array>
#include <cmath>

#include "adabet/metric/chain.hpp"
#include "adabet/metric/epilog.hpp"
#include "adabet/metric/float_mode.hpp"
#include "adabet/metric/metrics.hpp"
#include "adabet/metric/point_tiles.hpp"

namespace adabet {

namespace {

template <class Real>
using ReadTile = bool (*)(const NarrowTile<Real>&);

template <class Real>
ReadTile<Real> tile_of(const Kernels& table, Metric metric) {
    const NarrowTileKernels<Real>* of = nullptr;
    if constexpr (sizeof(Real) == sizeof(float)) {
        of = &table.tile_float;
    } else {
        of = &table.tile_double;
    }
    switch (metric) {
        case Metric::sqeuclidean:
            return of->squared;
        case Metric::cityblock:
            return of->cityblock;
        case Metric::chebyshev:
            return of->chebyshev;
        case Metric::cosine:
        case Metric::correlation:
            return of->cosine;
        case Metric::euclidean:
            break;
    }
    return of->euclidean;
}

/// Packed points: blocks of 8, fp64 (kernels.hpp).
template <class Real>
class NarrowTiles final : public DistanceTiles<Real> {
public:
    NarrowTiles(Isa isa, const PointCloud& points, Metric metric, std::span<const Vertex> order,
                const Execution& execution)
        : points_(isa, points, metric, order, execution),
          packed_(make_buffer<double>(execution.budget, packed_size(points_.n(), points.d))) {
        constexpr std::size_t blocks_a_task = 64;
        const std::size_t n_blocks = chain::ceil_div(points_.n(), narrow_width);
        parallel_for(execution, chain::ceil_div(n_blocks, blocks_a_task), [&](std::size_t task, int) {
            const PlainFloatMode mode;
            for (std::size_t block = task * blocks_a_task; block < std::min(n_blocks, (task + 1) * blocks_a_task);
                 ++block)
                pack_block(block);
        });
    }

    [[nodiscard]] static std::size_t packed_size(std::size_t n, std::size_t d) {
        return chain::ceil_div(n, narrow_width) * narrow_width * d;
    }
    [[nodiscard]] std::size_t n() const override { return points_.n(); }
    [[nodiscard]] std::unique_ptr<TileReader<Real>> reader(MemoryBudget&) const override {
        return std::make_unique<Reader>(*this);
    }

private:
    class Reader final : public TileReader<Real> {
    public:
        explicit Reader(const NarrowTiles& tiles)
            : source_(tiles.points_.source()),
              metric_(tiles.points_.metric()),
              d_(source_.points.d),
              packed_(tiles.packed_.data()),
              read_(tile_of<Real>(source_.table, metric_)) {}

        void read(PointRange rows, PointRange columns, Real* out, std::size_t stride) override {
            if (rows.size() == 0 || columns.size() == 0) return;
            const PlainFloatMode mode;
            const bool sound = read_({.points = packed_,
                                      .d = d_,
                                      .first_row = rows.begin,
                                      .n_rows = rows.size(),
                                      .first_column = columns.begin,
                                      .n_columns = columns.size(),
                                      .out = out,
                                      .stride = stride});
            if (sound) return;
            for (std::size_t i = rows.begin; i < rows.end; ++i) {
                Real* const row = out + (i - rows.begin) * stride;
                for (std::size_t j = columns.begin; j < columns.end; ++j) {
                    Real& value = row[j - columns.begin];
                    const bool is_sound = value > largest_unsound && value <= std::numeric_limits<Real>::max();
                    if (!is_sound && i != j) value = distance(i, j);
                }
            }
        }

        [[nodiscard]] Real at(std::size_t i, std::size_t j) override {
            const PlainFloatMode mode;
            return distance(i, j);
        }

    private:
        /// No sum below smallest_sound_sum has a larger root.
        static constexpr auto largest_unsound = static_cast<Real>(sizeof(Real) == sizeof(double) ? 0x1p-450 : 0.0);

        [[nodiscard]] Real distance(std::size_t i, std::size_t j) const {
            switch (metric_) {
                case Metric::sqeuclidean:
                    return distance_by<SquaredEuclidean>(i, j);
                case Metric::cityblock:
                    return distance_by<Cityblock>(i, j);
                case Metric::chebyshev:
                    return distance_by<Chebyshev>(i, j);
                case Metric::cosine:
                case Metric::correlation:
                    return distance_by<Cosine>(i, j);
                case Metric::euclidean:
                    break;
            }
            return distance_by<Euclidean>(i, j);
        }
        template <class M>
        [[nodiscard]] Real distance_by(std::size_t i, std::size_t j) const {
            const double* a = packed_ + i / narrow_width * narrow_width * d_ + i % narrow_width;
            const double* b = packed_ + j / narrow_width * narrow_width * d_ + j % narrow_width;
            double sum = 0.0;
            for (std::size_t k = 0; k < d_ * narrow_width; k += narrow_width)
                sum = M::Core::take(sum, rounded::subtract(a[k], b[k]));
            const auto value = static_cast<Real>(M::epilog(sum));
            const bool sound =
                value <= std::numeric_limits<Real>::max() && !(must_look_below<M, Real>() && sum < smallest_sound_sum);
            return sound ? value : distance_of_pair<Real>(source_, metric_, i, j, sum);
        }

        const PackSource& source_;
        Metric metric_;
        std::size_t d_;
        const double* packed_;
        ReadTile<Real> read_;
    };

    void pack_block(std::size_t block) {
        const PackSource& source = points_.source();
        const std::size_t d = source.points.d;
        double* const to = packed_.data() + block * narrow_width * d;
        std::array<double, chain::narrow_columns> row;
        for (std::size_t l = 0; l < narrow_width; ++l) {
            const std::size_t i = block * narrow_width + l;
            if (i < source.n()) {
                static_cast<void>(pack_row(source, source.order(i), 0, d, row.data()));
            } else {
                // The padding repeats the last point: its distances are as sound as that point's.
                for (std::size_t k = 0; k < d; ++k) row[k] = to[k * narrow_width + l - 1];
            }
            for (std::size_t k = 0; k < d; ++k) to[k * narrow_width + l] = row[k];
        }
    }

    OrderedPoints points_;
    Buffer<double> packed_;
};

}  // namespace

template <class Real>
std::unique_ptr<DistanceTiles<Real>> narrow_tiles(Isa isa, const PointCloud& points, Metric metric,
                                                  std::span<const Vertex> order, const Execution& execution) {
    return std::make_unique<NarrowTiles<Real>>(isa, points, metric, order, execution);
}

std::size_t narrow_tiles_bytes(std::size_t n, std::size_t d) {
    return NarrowTiles<float>::packed_size(n, d) * sizeof(double);
}

template std::unique_ptr<DistanceTiles<float>> narrow_tiles(Isa, const PointCloud&, Metric, std::span<const Vertex>,
                                                            const Execution&);
template std::unique_ptr<DistanceTiles<double>> narrow_tiles(Isa, const PointCloud&, Metric, std::span<const Vertex>,
                                                             const Execution&);

}  // namespace adabet
