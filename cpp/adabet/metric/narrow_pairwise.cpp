#include "adabet/metric/narrow_pairwise.hpp"

#include <algorithm>
#include <array>

namespace adabet {

namespace {

/// Entries of `rows` x `columns`, above the diagonal, copied below it. By way of small tiles, since rows of the matrix may
/// lie a power of two apart: down their columns they would meet in the same few cache sets.
template <class Real>
void mirror(PointRange rows, PointRange columns, Real* out, std::size_t stride) {
    constexpr std::size_t edge = 16;
    std::array<std::array<Real, edge>, edge> tile{};
    for (std::size_t i0 = rows.begin; i0 < rows.end; i0 += edge) {
        const std::size_t i1 = std::min(i0 + edge, rows.end);
        for (std::size_t j0 = columns.begin; j0 < columns.end; j0 += edge) {
            const std::size_t j1 = std::min(j0 + edge, columns.end);
            for (std::size_t i = i0; i < i1; ++i)
                for (std::size_t j = j0; j < j1; ++j) tile[j - j0][i - i0] = out[i * stride + j];
            for (std::size_t j = j0; j < j1; ++j)
                for (std::size_t i = i0; i < i1; ++i) out[j * stride + i] = tile[j - j0][i - i0];
        }
    }
}

/// Entries of `rows` x `columns` above the diagonal, a few rows at a time: each goes to a place of its own.
template <class Real>
void read_condensed(TileReader<Real>& reader, PointRange rows, PointRange columns, const DistanceOutput<Real>& out) {
    constexpr std::size_t at_a_time = 8;
    constexpr std::size_t width = 128;
    std::array<Real, at_a_time * width> strip;
    for (std::size_t i0 = rows.begin; i0 < rows.end; i0 += at_a_time) {
        const PointRange some_rows{.begin = i0, .end = std::min(i0 + at_a_time, rows.end)};
        for (std::size_t j0 = std::max(columns.begin, i0); j0 < columns.end; j0 += width) {
            const PointRange some_columns{.begin = j0, .end = std::min(j0 + width, columns.end)};
            reader.read(some_rows, some_columns, strip.data(), width);
            for (std::size_t i = i0; i < some_rows.end; ++i) {
                const std::size_t j = std::max(j0, i + 1);
                if (j < some_columns.end)
                    std::copy_n(strip.data() + (i - i0) * width + (j - j0), some_columns.end - j, out.at(i, j));
            }
        }
    }
}

}  // namespace

template <class Real>
void narrow_pairwise(Isa isa, const PointCloud& points, Metric metric, const PairwisePlan& plan,
                     const DistanceOutput<Real>& out, std::span<const Vertex> order, const Execution& execution) {
    const Execution part{.budget = execution.budget, .n_threads = plan.workers, .checkpoint = execution.checkpoint};
    const auto tiles = narrow_tiles<Real>(isa, points, metric, order, part);
    const auto rows_of = [&](std::size_t block) {
        return PointRange{.begin = block * plan.block, .end = std::min((block + 1) * plan.block, tiles->n())};
    };
    parallel_for(part, plan.n_tasks, [&](std::size_t task, int) {
        const BlockPair pair = block_pair(task, plan.n_blocks);
        const PointRange rows = rows_of(pair.first);
        const PointRange columns = rows_of(pair.second);
        const auto reader = tiles->reader(part.budget);
        if (out.form == MatrixForm::condensed) return read_condensed(*reader, rows, columns, out);
        reader->read(rows, columns, out.at(rows.begin, columns.begin), out.stride);
        if (pair.first != pair.second) mirror(rows, columns, out.out, out.stride);
    });
}

template void narrow_pairwise(Isa, const PointCloud&, Metric, const PairwisePlan&, const DistanceOutput<float>&,
                              std::span<const Vertex>, const Execution&);
template void narrow_pairwise(Isa, const PointCloud&, Metric, const PairwisePlan&, const DistanceOutput<double>&,
                              std::span<const Vertex>, const Execution&);

}  // namespace adabet
