#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "adabet/errors.hpp"
#include "adabet/metric/point_cloud.hpp"
#include "adabet/types.hpp"

namespace adabet {

/// Which row of a cloud (or matrix) stands at each place: none given, each at its own.
class PointOrder {
public:
    PointOrder() = default;
    explicit PointOrder(std::span<const Vertex> rows) : rows_(rows) {}

    [[nodiscard]] std::size_t operator()(std::size_t place) const {
        return rows_.empty() ? place : static_cast<std::size_t>(rows_[place]);
    }
    [[nodiscard]] bool as_they_stand() const { return rows_.empty(); }
    /// Places, of a cloud with n rows.
    [[nodiscard]] std::size_t count(std::size_t n) const { return rows_.empty() ? n : rows_.size(); }
    /// Throws InvalidInput where a row lies outside [0, n).
    void check(std::size_t n) const {
        for (std::size_t place = 0; place < rows_.size(); ++place)
            if (rows_[place] < 0 || static_cast<std::size_t>(rows_[place]) >= n)
                throw InvalidInput("order: expected rows from 0 to " + std::to_string(n) + " (exclusive), got " +
                                   std::to_string(rows_[place]) + " at place " + std::to_string(place));
    }

private:
    std::span<const Vertex> rows_;
};

}  // namespace adabet
