#include "adabet/metric/point_tiles.hpp"

#include <algorithm>
#include <array>

#include "adabet/metric/chain.hpp"
#include "adabet/metric/float_mode.hpp"
#include "adabet/metric/pairwise_plan.hpp"

namespace adabet {

namespace {

/// Points without coordinates: they all coincide.
template <class Real>
class PointlessTiles final : public DistanceTiles<Real> {
public:
    explicit PointlessTiles(std::size_t n) : n_(n) {}
    [[nodiscard]] std::size_t n() const override { return n_; }
    [[nodiscard]] std::unique_ptr<TileReader<Real>> reader(MemoryBudget&) const override {
        return std::make_unique<Reader>();
    }

private:
    class Reader final : public TileReader<Real> {
        void read(PointRange rows, PointRange columns, Real* out, std::size_t stride) override {
            for (std::size_t i = 0; i < rows.size(); ++i) std::fill_n(out + i * stride, columns.size(), Real{0});
        }
        [[nodiscard]] Real at(std::size_t, std::size_t) override { return Real{0}; }
    };

    std::size_t n_;
};

/// Looks through every coordinate, so that what is wrong with one is said before any work is done.
void look_through(const PackSource& source, const Execution& execution) {
    constexpr std::size_t rows_a_task = 16;
    const std::size_t n = source.n();
    const std::size_t d = source.points.d;
    parallel_for(execution, chain::ceil_div(n, rows_a_task), [&](std::size_t task, int, const Execution& own) {
        const PlainFloatMode mode;
        std::array<double, chain::chunk_columns> values;
        for (std::size_t i = task * rows_a_task; i < std::min(n, (task + 1) * rows_a_task); ++i) {
            for (std::size_t first = 0; first < d; first += values.size())
                static_cast<void>(
                    pack_row(source, source.order(i), first, std::min(values.size(), d - first), values.data()));
            own.check();
        }
    });
}

}  // namespace

OrderedPoints::OrderedPoints(Isa isa, const PointCloud& points, Metric metric, std::span<const Vertex> order,
                             const Execution& execution)
    : points_(points),
      metric_(metric),
      order_(make_buffer<Vertex>(execution.budget, order.size())),
      norms_(make_buffer<RowNorm>(execution.budget, normalises(metric) ? points.n : 0)),
      source_{.points = points_,
              .table = kernels(isa),
              .norms = normalises(metric) ? norms_.data() : nullptr,
              .order = PointOrder(order_)} {
    std::copy(order.begin(), order.end(), order_.begin());
    if (normalises(metric))
        find_row_norms(points_, metric, source_.table, execution, execution.n_threads, norms_.data());
    else if (!chain::is_narrow(points.d))  // few coordinates are looked through as they are packed
        look_through(source_, execution);
}

template <class Real>
std::unique_ptr<DistanceTiles<Real>> point_tiles_on(Isa isa, const PointCloud& points, Metric metric,
                                                    std::span<const Vertex> order, const Execution& execution) {
    execution.check();
    const PointOrder places(order);
    places.check(points.n);
    const std::size_t n = places.count(points.n);
    if (n == 0 || points.d == 0) return std::make_unique<PointlessTiles<Real>>(n);
    if (chain::is_narrow(points.d)) return narrow_tiles<Real>(isa, points, metric, order, execution);
    return wide_tiles<Real>(isa, points, metric, order, execution);
}

template <class Real>
std::unique_ptr<DistanceTiles<Real>> point_tiles(const PointCloud& points, Metric metric, std::span<const Vertex> order,
                                                 const Execution& execution) {
    return point_tiles_on<Real>(active_isa(), points, metric, order, execution);
}

std::size_t point_tiles_bytes(const PointCloud& points, Metric metric, std::size_t n_order) {
    const std::size_t n = n_order == 0 ? points.n : n_order;
    if (n == 0 || points.d == 0) return 0;
    const std::size_t held = n_order * sizeof(Vertex) + (normalises(metric) ? points.n * sizeof(RowNorm) : 0);
    return held + (chain::is_narrow(points.d) ? narrow_tiles_bytes(n, points.d) : 0);
}

std::size_t point_reader_bytes(const PointCloud& points, Metric metric, std::size_t real_size) {
    if (points.n == 0 || chain::is_narrow(points.d)) return 0;
    return wide_reader_bytes(points, metric, real_size);
}

template std::unique_ptr<DistanceTiles<float>> point_tiles_on(Isa, const PointCloud&, Metric, std::span<const Vertex>,
                                                              const Execution&);
template std::unique_ptr<DistanceTiles<double>> point_tiles_on(Isa, const PointCloud&, Metric, std::span<const Vertex>,
                                                               const Execution&);
template std::unique_ptr<DistanceTiles<float>> point_tiles(const PointCloud&, Metric, std::span<const Vertex>,
                                                           const Execution&);
template std::unique_ptr<DistanceTiles<double>> point_tiles(const PointCloud&, Metric, std::span<const Vertex>,
                                                            const Execution&);

}  // namespace adabet
