#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "adabet/metric/distance_tiles.hpp"
#include "adabet/rips/length_key.hpp"

namespace adabet {

/// The distances of a filtration: a matrix in memory, or tiles that are made anew each time they are looked at.
template <class Real>
class Distances {
public:
    Distances(const DistanceMatrix<Real>& matrix) : n_(matrix.n), matrix_(matrix) {}  // NOLINT(*-explicit-*)
    explicit Distances(const DistanceTiles<Real>& tiles) : n_(tiles.n()), tiles_(&tiles) {}

    [[nodiscard]] std::size_t n() const { return n_; }
    [[nodiscard]] bool is_resident() const { return tiles_ == nullptr; }
    /// Only where it is resident.
    [[nodiscard]] const DistanceMatrix<Real>& matrix() const { return matrix_; }
    /// Only where it is not.
    [[nodiscard]] const DistanceTiles<Real>& tiles() const { return *tiles_; }
    /// Whether many should be asked for at a time, never one.
    [[nodiscard]] bool are_far() const { return tiles_ != nullptr && tiles_->are_far(); }

private:
    std::size_t n_;
    DistanceMatrix<Real> matrix_;
    const DistanceTiles<Real>* tiles_ = nullptr;
};

/// A rectangle of distances.
template <class Real>
struct Tile {
    const Real* data;
    std::size_t stride;

    [[nodiscard]] const Real* row(std::size_t i) const { return data + i * stride; }
};

/// One thread's look at distances: no copy where they are resident.
template <class Real>
class DistanceReader {
public:
    /// `tile_entries` is the largest tile that is going to be asked for.
    DistanceReader(const Distances<Real>& distances, std::size_t tile_entries, MemoryBudget& budget)
        : distances_(distances), scratch_(make_buffer<Real>(budget, distances.is_resident() ? 0 : tile_entries)) {
        if (!distances.is_resident()) reader_ = distances.tiles().reader(budget);
    }

    /// Valid until the next tile.
    [[nodiscard]] Tile<Real> tile(PointRange rows, PointRange columns) {
        if (!reader_) return {distances_.matrix().row(rows.begin) + columns.begin, distances_.matrix().stride};
        reader_->read(rows, columns, scratch_.data(), columns.size());
        return {scratch_.data(), columns.size()};
    }
    [[nodiscard]] Real at(std::size_t i, std::size_t j) const {
        return reader_ ? reader_->at(i, j) : distances_.matrix()(i, j);
    }
    /// out[k] = the distance of pair k.
    void pairs(std::span<const Edge> asked, Real* out) const {
        if (reader_) return reader_->read_pairs(asked, out);
        for (std::size_t k = 0; k < asked.size(); ++k)
            out[k] = at(static_cast<std::size_t>(asked[k].a), static_cast<std::size_t>(asked[k].b));
    }
    [[nodiscard]] RankedEdge<Real> edge(Vertex x, Vertex y) const {
        const Vertex a = x < y ? x : y;
        const Vertex b = x < y ? y : x;
        return {length_key(at(static_cast<std::size_t>(a), static_cast<std::size_t>(b))), b, a};
    }

private:
    Distances<Real> distances_;
    Buffer<Real> scratch_;
    std::unique_ptr<TileReader<Real>> reader_;
};

}  // namespace adabet
