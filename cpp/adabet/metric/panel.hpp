#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "adabet/memory_budget.hpp"
#include "adabet/metric/chain.hpp"
#include "adabet/metric/kernels.hpp"
#include "adabet/metric/load.hpp"
#include "adabet/metric/normalise.hpp"
#include "adabet/metric/pairwise_plan.hpp"
#include "adabet/metric/point_order.hpp"

namespace adabet {

/// What packing needs to know of the call.
struct PackSource {
    const PointCloud& points;
    const Kernels& table;
    const RowNorm* norms;  ///< one a row, or null
    PointOrder order = {};

    [[nodiscard]] std::size_t n() const { return order.count(points.n); }
};

/// Coordinates [column, column + count) of a row, as T, normalised where the metric asks for it. Throws InvalidInput at a
/// NaN or an infinity.
template <class T>
std::uint8_t pack_row(const PackSource& source, std::size_t row, std::size_t column, std::size_t count, T* to) {
    const PointCloud& points = source.points;
    const auto scalar = static_cast<std::size_t>(points.scalar);
    const void* first = address_of(points, row, column);
    std::uint8_t marks = mark_none;
    if constexpr (sizeof(T) == sizeof(float)) {
        marks = source.table.pack_float[scalar](first, points.coordinate_stride, count, to);
    } else {
        marks = source.table.pack_double[scalar](first, points.coordinate_stride, count, to);
    }
    if ((marks & mark_non_finite) != 0) throw_non_finite(points, source.table);
    if constexpr (sizeof(T) == sizeof(double)) {
        if (source.norms != nullptr)
            for (std::size_t k = 0; k < count; ++k) to[k] = source.norms[row](to[k]);
    }
    return marks;
}

/// A block of rows, copied into consecutive fp32 or fp64: read once from the caller's memory, free of strides and of
/// cache-set conflicts, looked through for NaN and infinities on the way.
template <class T>
class Panel {
public:
    Panel(const PairwisePlan& plan, MemoryBudget& budget)
        : Panel(plan.panel_ld, plan.panel_elements, plan.block, budget) {}
    /// `rows` rows (a multiple of 4), `ld` elements apart.
    Panel(std::size_t ld, std::size_t elements, std::size_t rows, MemoryBudget& budget)
        : ld_(ld), values_(make_buffer<T>(budget, elements)), marks_(make_buffer<std::uint8_t>(budget, rows)) {}

    /// Points [first, first + count), one chunk of columns, row after row.
    void pack_chunk(const PackSource& source, std::size_t first, std::size_t count, std::size_t chunk,
                    std::size_t multiple = 4) {
        const std::size_t columns = chain::columns_of(chunk, source.points.d);
        const std::size_t padded = chain::steps_of(columns) * chain::lanes;
        for (std::size_t i = 0; i < count; ++i) {
            T* row = values_.data() + i * ld_;
            marks_[i] = pack_row(source, source.order(first + i), chunk * chain::chunk_columns, columns, row);
            std::fill(row + columns, row + padded, T{0});
        }
        for (std::size_t i = count; i < std::min(chain::ceil_div(count, multiple) * multiple, marks_.size()); ++i) {
            T* row = values_.data() + i * ld_;
            std::fill(row, row + padded, T{0});
            marks_[i] = mark_none;
        }
    }

    [[nodiscard]] const T* values() const { return values_.data(); }
    [[nodiscard]] const std::uint8_t* marks() const { return marks_.data(); }
    [[nodiscard]] std::size_t ld() const { return ld_; }

private:
    std::size_t ld_;
    Buffer<T> values_;
    Buffer<std::uint8_t> marks_;
};

}  // namespace adabet
