#pragma once

// A matrix that is handed out in tiles: what a plan without a matrix sees.

#include <algorithm>
#include <memory>

#include "adabet/metric/distance_tiles.hpp"

namespace clouds {

template <class Real>
class CopyTiles final : public adabet::DistanceTiles<Real> {
public:
    explicit CopyTiles(const adabet::DistanceMatrix<Real>& matrix) : matrix_(matrix) {}

    [[nodiscard]] std::size_t n() const override { return matrix_.n; }
    [[nodiscard]] std::unique_ptr<adabet::TileReader<Real>> reader(adabet::MemoryBudget& /*budget*/) const override {
        return std::make_unique<Reader>(matrix_);
    }

private:
    class Reader final : public adabet::TileReader<Real> {
    public:
        explicit Reader(const adabet::DistanceMatrix<Real>& matrix) : matrix_(matrix) {}

        void read(adabet::PointRange rows, adabet::PointRange columns, Real* out, std::size_t stride) override {
            for (std::size_t i = rows.begin; i < rows.end; ++i)
                std::copy_n(matrix_.row(i) + columns.begin, columns.size(), out + (i - rows.begin) * stride);
        }
        [[nodiscard]] Real at(std::size_t i, std::size_t j) override { return matrix_(i, j); }

    private:
        const adabet::DistanceMatrix<Real>& matrix_;
    };

    adabet::DistanceMatrix<Real> matrix_;
};

}  // namespace clouds
