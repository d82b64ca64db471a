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

namespace adabet {

/// What packing needs to know of the call.
struct PackSource {
    const PointCloud& points;
    const Kernels& table;
    const RowNorm* norms;  ///< one a row, or null
};

/// A block of rows, copied into consecutive fp32 or fp64: read once from the caller's memory, free of strides and of
/// cache-set conflicts, looked through for NaN and infinities on the way.
template <class T>
class Panel {
public:
    Panel(const PairwisePlan& plan, MemoryBudget& budget)
        : ld_(plan.panel_ld),
          values_(make_buffer<T>(budget, plan.panel_elements)),
          marks_(make_buffer<std::uint8_t>(budget, plan.block)) {}

    /// Rows [first, first + count), one chunk of columns, row after row.
    void pack_chunk(const PackSource& source, std::size_t first, std::size_t count, std::size_t chunk) {
        const std::size_t columns = chain::columns_of(chunk, source.points.d);
        const std::size_t padded = chain::steps_of(columns) * chain::lanes;
        for (std::size_t i = 0; i < count; ++i) {
            T* row = values_.data() + i * ld_;
            marks_[i] = pack_row(source, first + i, chunk * chain::chunk_columns, columns, row);
            std::fill(row + columns, row + padded, T{0});
        }
        for (std::size_t i = count; i < std::min(chain::ceil_div(count, 4) * 4, marks_.size()); ++i) {
            T* row = values_.data() + i * ld_;
            std::fill(row, row + padded, T{0});
            marks_[i] = mark_none;
        }
    }

    /// Rows [first, first + count), all of their at most 64 columns, column after column.
    void pack_narrow(const PackSource& source, std::size_t first, std::size_t count) {
        T row[chain::narrow_columns];
        const std::size_t d = source.points.d;
        for (std::size_t i = 0; i < count; ++i) {
            static_cast<void>(pack_row(source, first + i, 0, d, row));
            for (std::size_t k = 0; k < d; ++k) values_[k * ld_ + i] = row[k];
        }
        for (std::size_t k = 0; k < d; ++k)
            for (std::size_t i = count; i < ld_; ++i) values_[k * ld_ + i] = T{0};
    }

    [[nodiscard]] const T* values() const { return values_.data(); }
    [[nodiscard]] const std::uint8_t* marks() const { return marks_.data(); }
    [[nodiscard]] std::size_t ld() const { return ld_; }

private:
    static std::uint8_t pack_row(const PackSource& source, std::size_t row, std::size_t column, std::size_t count,
                                 T* to) {
        const PointCloud& points = source.points;
        const auto scalar = static_cast<std::size_t>(points.scalar);
        std::uint8_t marks = mark_none;
        if constexpr (sizeof(T) == sizeof(float)) {
            marks =
                source.table.pack_float[scalar](address_of(points, row, column), points.coordinate_stride, count, to);
        } else {
            marks =
                source.table.pack_double[scalar](address_of(points, row, column), points.coordinate_stride, count, to);
        }
        if ((marks & mark_non_finite) != 0) throw_non_finite(points, source.table);
        if constexpr (sizeof(T) == sizeof(double)) {
            if (source.norms != nullptr)
                for (std::size_t k = 0; k < count; ++k) to[k] = source.norms[row](to[k]);
        }
        return marks;
    }

    std::size_t ld_;
    Buffer<T> values_;
    Buffer<std::uint8_t> marks_;
};

}  // namespace adabet
