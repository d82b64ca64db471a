#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "adabet/memory_budget.hpp"
#include "adabet/metric/chain.hpp"
#include "adabet/metric/kernels.hpp"
#include "adabet/metric/load.hpp"
#include "adabet/metric/normalise.hpp"
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
/// cache-set conflicts, looked through for NaN and infinities on the way where it is packed here. In memory of Panels.
template <class T>
class Panel {
public:
    /// `rows` rows (a multiple of 4), `ld` elements apart.
    Panel(T* values, std::uint8_t* marks, std::size_t ld, std::size_t rows)
        : values_(values), marks_(marks), ld_(ld), rows_(rows) {}

    /// Points [first, first + count), one chunk of columns, row after row.
    void pack_chunk(const PackSource& source, std::size_t first, std::size_t count, std::size_t chunk,
                    std::size_t multiple = 4) {
        const std::size_t columns = chain::columns_of(chunk, source.points.d);
        const std::size_t padded = chain::steps_of(columns) * chain::lanes;
        for (std::size_t i = 0; i < count; ++i) {
            T* row = values_ + i * ld_;
            marks_[i] = pack_row(source, source.order(first + i), chunk * chain::chunk_columns, columns, row);
            std::fill(row + columns, row + padded, T{0});
        }
        pad(count, padded, multiple);
    }
    /// Makes ready for as many rows of a whole chunk, which come from elsewhere, past any look at them.
    void expect(std::size_t count) {
        std::fill_n(marks_, count, mark_unseen);
        pad(count, chain::chunk_columns, 4);
    }

    [[nodiscard]] T* values() const { return values_; }
    [[nodiscard]] std::uint8_t* marks() const { return marks_; }
    [[nodiscard]] std::size_t ld() const { return ld_; }

private:
    /// Rows of zeros up to a multiple.
    void pad(std::size_t count, std::size_t columns, std::size_t multiple) {
        for (std::size_t i = count; i < std::min(chain::ceil_div(count, multiple) * multiple, rows_); ++i) {
            T* row = values_ + i * ld_;
            std::fill(row, row + columns, T{0});
            marks_[i] = mark_none;
        }
    }

    T* values_;
    std::uint8_t* marks_;
    std::size_t ld_;
    std::size_t rows_;
};

/// Panels of one size, allocated together: what is freed and asked for again call by call in several pieces, the C library
/// gives back to the system each time.
template <class T>
class Panels {
public:
    Panels(std::size_t count, std::size_t ld, std::size_t elements, std::size_t rows, MemoryBudget& budget)
        : values_(make_buffer<T>(budget, count * elements)), marks_(make_buffer<std::uint8_t>(budget, count * rows)) {
        panels_.reserve(count);
        for (std::size_t k = 0; k < count; ++k)
            panels_.emplace_back(values_.data() + k * elements, marks_.data() + k * rows, ld, rows);
    }

    [[nodiscard]] Panel<T>& operator[](std::size_t k) { return panels_[k]; }

private:
    Buffer<T> values_;
    Buffer<std::uint8_t> marks_;
    std::vector<Panel<T>> panels_;
};

}  // namespace adabet
