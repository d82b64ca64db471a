#include <algorithm>

#include "adabet/metric/chain.hpp"
#include "adabet/metric/core_kernels.hpp"
#include "adabet/metric/epilog.hpp"
#include "adabet/metric/float_mode.hpp"
#include "adabet/metric/pairwise_plan.hpp"
#include "adabet/metric/point_tiles.hpp"

namespace adabet {

namespace {

constexpr std::size_t most_rows = 64;
constexpr std::size_t most_columns = 256;         // whose sums are kept while the chunks go by
constexpr std::size_t panel_columns = most_rows;  // packed at a time: with the rows, half a 1 MiB second-level cache

/// As in pairwise_plan.cpp: a cache line longer than a power of two.
template <class T>
[[nodiscard]] std::size_t panel_ld(std::size_t d) {
    return std::min(chain::ceil_div(d, chain::lanes) * chain::lanes, chain::chunk_columns) + 64 / sizeof(T);
}

template <class T>
[[nodiscard]] std::size_t reader_bytes(std::size_t d) {
    const std::size_t rows = most_rows + panel_columns + 2 * rows_beyond;
    const std::size_t n_sums = chain::n_groups(d) > 1 ? 2 : 1;
    return rows * (panel_ld<T>(d) * sizeof(T) + 1) + n_sums * most_rows * most_columns * sizeof(double);
}

/// T is what coordinates are held in.
template <class T, class Real>
class WideReader final : public TileReader<Real> {
public:
    WideReader(const OrderedPoints& points, MemoryBudget& budget)
        : source_(points.source()),
          metric_(points.metric()),
          d_(source_.points.d),
          chunks_(chain::n_chunks(d_)),
          panels_(2, panel_ld<T>(d_), panel_ld<T>(d_) * (most_rows + rows_beyond), most_rows, budget),
          rows_(panels_[0]),
          columns_(panels_[1]),
          sums_(make_buffer<double>(budget, most_rows * most_columns)),
          group_(make_buffer<double>(budget, chain::n_groups(d_) > 1 ? most_rows * most_columns : 0)) {}

    void read(PointRange rows, PointRange columns, Real* out, std::size_t stride) override {
        if (rows.size() == 0 || columns.size() == 0) return;
        const PlainFloatMode mode;
        for (std::size_t i = rows.begin; i < rows.end; i += most_rows) {
            const PointRange some_rows{.begin = i, .end = std::min(i + most_rows, rows.end)};
            if (chunks_ == 1) rows_.pack_chunk(source_, i, some_rows.size(), 0);
            for (std::size_t j = columns.begin; j < columns.end; j += most_columns) {
                const PointRange some_columns{.begin = j, .end = std::min(j + most_columns, columns.end)};
                read_block(some_rows, some_columns, out + (i - rows.begin) * stride + (j - columns.begin), stride);
            }
        }
    }

    [[nodiscard]] Real at(std::size_t i, std::size_t j) override {
        if (i == j) return Real{0};
        const PlainFloatMode mode;
        double total = 0.0;
        double group = 0.0;
        for (std::size_t chunk = 0; chunk < chunks_; ++chunk) {
            if (chunk % chain::chunks_per_group == 0) group = 0.0;
            rows_.pack_chunk(source_, i, 1, chunk, 1);
            columns_.pack_chunk(source_, j, 1, chunk, 1);
            add_chunk(chunk, 1, 1, &group, 1);
            if (ends_group(chunk)) join_into(metric_, &total, &group, 1);
        }
        return distance_of_pair<Real>(source_, metric_, i, j, total);
    }

private:
    [[nodiscard]] bool ends_group(std::size_t chunk) const {
        return (chunk + 1) % chain::chunks_per_group == 0 || chunk + 1 == chunks_;
    }

    void read_block(PointRange rows, PointRange columns, Real* out, std::size_t stride) {
        std::fill_n(sums_.data(), most_rows * most_columns, 0.0);
        for (std::size_t chunk = 0; chunk < chunks_; ++chunk) {
            const bool first_group = chunk < chain::chunks_per_group;
            double* const sums = first_group ? sums_.data() : group_.data();
            if (!first_group && chunk % chain::chunks_per_group == 0) std::fill_n(sums, most_rows * most_columns, 0.0);
            if (chunks_ > 1) rows_.pack_chunk(source_, rows.begin, rows.size(), chunk);
            for (std::size_t j = columns.begin; j < columns.end; j += panel_columns) {
                const std::size_t count = std::min(panel_columns, columns.end - j);
                columns_.pack_chunk(source_, j, count, chunk);
                add_chunk(chunk, rows.size(), count, sums + (j - columns.begin), most_columns);
            }
            if (!first_group && ends_group(chunk)) join_into(metric_, sums_.data(), sums, most_rows * most_columns);
        }
        for (std::size_t i = rows.begin; i < rows.end; ++i) {
            Real* const to = out + (i - rows.begin) * stride;
            distances_of_row(source_, metric_, i, columns.begin, sums_.data() + (i - rows.begin) * most_columns,
                             columns.size(), to);
        }
    }

    // NOLINTNEXTLINE(readability-non-const-parameter): written to through the block, whose type depends on T
    void add_chunk(std::size_t chunk, std::size_t n_a, std::size_t n_b, double* sums, std::size_t ld_sums) {
        ChunkBlock<T> block{.a = rows_.values(),
                            .b = columns_.values(),
                            .n_a = n_a,
                            .n_b = n_b,
                            .ld = rows_.ld(),
                            .steps = chain::steps_of(chain::columns_of(chunk, d_)),
                            .marks_a = rows_.marks(),
                            .marks_b = columns_.marks(),
                            .diagonal = false,
                            .sums = nullptr,
                            .ld_sums = ld_sums};
        block.sums = sums;
        const bool pair = n_a == 1 && n_b == 1;
        if constexpr (sizeof(T) == sizeof(float)) {
            (pair ? source_.table.pair_of_squares_float : source_.table.chunk_of_squares_float)(block);
        } else {
            const CoreKernels& core = core_of(source_.table, metric_);
            (pair ? core.pair : core.chunk)(block);
        }
    }

    const PackSource& source_;
    Metric metric_;
    std::size_t d_;
    std::size_t chunks_;
    Panels<T> panels_;
    Panel<T>& rows_;
    Panel<T>& columns_;
    Buffer<double> sums_;
    Buffer<double> group_;
};

template <class Real>
class WideTiles final : public DistanceTiles<Real> {
public:
    WideTiles(Isa isa, const PointCloud& points, Metric metric, std::span<const Vertex> order,
              const Execution& execution)
        : points_(isa, points, metric, order, execution) {}

    [[nodiscard]] std::size_t n() const override { return points_.n(); }
    [[nodiscard]] std::unique_ptr<TileReader<Real>> reader(MemoryBudget& budget) const override {
        if (sums_in_float(points_.source().points, points_.metric(), sizeof(Real)))
            return std::make_unique<WideReader<float, Real>>(points_, budget);
        return std::make_unique<WideReader<double, Real>>(points_, budget);
    }

private:
    OrderedPoints points_;
};

}  // namespace

template <class Real>
std::unique_ptr<DistanceTiles<Real>> wide_tiles(Isa isa, const PointCloud& points, Metric metric,
                                                std::span<const Vertex> order, const Execution& execution) {
    return std::make_unique<WideTiles<Real>>(isa, points, metric, order, execution);
}

std::size_t wide_reader_bytes(const PointCloud& points, Metric metric, std::size_t real_size) {
    return sums_in_float(points, metric, real_size) ? reader_bytes<float>(points.d) : reader_bytes<double>(points.d);
}

template std::unique_ptr<DistanceTiles<float>> wide_tiles(Isa, const PointCloud&, Metric, std::span<const Vertex>,
                                                          const Execution&);
template std::unique_ptr<DistanceTiles<double>> wide_tiles(Isa, const PointCloud&, Metric, std::span<const Vertex>,
                                                           const Execution&);

}  // namespace adabet
