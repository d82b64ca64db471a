#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>

#include "adabet/errors.hpp"
#include "adabet/metric/chain.hpp"
#include "adabet/metric/distance_tiles.hpp"
#include "adabet/metric/matrix_entries.hpp"
#include "adabet/metric/matrix_input.hpp"
#include "adabet/metric/point_order.hpp"

namespace adabet {

namespace {

constexpr std::size_t tile = 64;

/// What lies above a matrix's diagonal, in either form.
struct UpperTriangle {
    PointCloud entries;
    std::size_t n;
    bool condensed;
    bool symmetric;  ///< what lies below the diagonal is the same after the cast, so that whole rows can be read

    /// Entries (i, first) to (i, last - 1), i < first, cast.
    template <class Real>
    [[nodiscard]] bool cast(std::size_t i, std::size_t first, std::size_t last, Real* out) const {
        if (!condensed) return cast_distances(entries, i, first, last, out);
        const std::size_t start = condensed_start(i, n) - i - 1;
        return cast_distances(entries, 0, start + first, start + last, out);
    }
    template <class Real>
    [[nodiscard]] Real distance(std::size_t i, std::size_t j) const {
        Real value{0};
        if (i != j) static_cast<void>(cast(std::min(i, j), std::max(i, j), std::max(i, j) + 1, &value));
        return value;
    }
};

/// What one look through a square matrix finds; parts of it are looked through apart and put together.
struct Findings {
    bool flawed = false;   ///< an entry is no distance
    double own = 0;        ///< the largest magnitude on the diagonal
    double largest = 0;    ///< finite distance
    double asymmetry = 0;  ///< the largest |a^2 - b^2| of mirrored entries that a few last places do not explain
    bool symmetric = true;

    void join(const Findings& other) {
        flawed = flawed || other.flawed;
        own = std::max(own, other.own);
        largest = std::max(largest, other.largest);
        asymmetry = std::max(asymmetry, other.asymmetry);
        symmetric = symmetric && other.symmetric;
    }
};

template <class Real>
using Tile = std::array<std::array<Real, tile>, tile>;

template <class Real>
void note_row(const Real* row, std::size_t count, Findings& found) {
    Real most{0};
    for (std::size_t j = 0; j < count; ++j) most = row[j] > most && row[j] < infinity<Real> ? row[j] : most;
    found.largest = std::max(found.largest, static_cast<double>(most));
}

/// Mirrored entries of one row; `relative` as in SymmetryTolerance.
template <class Real>
void compare_rows(const Real* upper, const Real* lower, std::size_t count, double relative, Findings& found) {
    unsigned apart = 0;
    for (std::size_t j = 0; j < count; ++j) apart |= upper[j] == lower[j] ? 0U : 1U;
    if (apart == 0) return;
    found.symmetric = false;
    for (std::size_t j = 0; j < count; ++j) {
        const auto a = static_cast<double>(upper[j]);
        const auto b = static_cast<double>(lower[j]);
        if (a == b) continue;
        const double difference = std::abs(a - b);
        if (std::isinf(difference) || difference > relative * std::max(a, b))
            found.asymmetry = std::max(found.asymmetry, difference * (a + b));
    }
}

/// A tile above the diagonal with its mirror image, or one on it.
template <class Real>
class TileLook {
public:
    TileLook(const PointCloud& matrix, double relative) : matrix_(matrix), relative_(relative) {}

    void look(std::size_t i0, std::size_t j0, Findings& found) {
        const std::size_t height = std::min(tile, matrix_.n - i0);
        const std::size_t width = std::min(tile, matrix_.n - j0);
        if (i0 == j0) return look_at_diagonal(i0, height, found);
        for (std::size_t j = 0; j < width; ++j) cast(j0 + j, i0, i0 + height, lower_[j].data(), found);
        for (std::size_t i = 0; i < height; ++i) {
            cast(i0 + i, j0, j0 + width, upper_[0].data(), found);
            for (std::size_t j = 0; j < width; ++j) turned_row_[j] = lower_[j][i];
            compare_rows(upper_[0].data(), turned_row_.data(), width, relative_, found);
        }
    }

private:
    void look_at_diagonal(std::size_t i0, std::size_t height, Findings& found) {
        for (std::size_t i = 0; i < height; ++i) {
            const double own = std::abs(entry(matrix_, i0 + i, i0 + i));
            found.flawed = found.flawed || std::isnan(own);
            found.own = std::max(found.own, own);
            upper_[i][i] = Real{0};
            cast(i0 + i, i0, i0 + i, upper_[i].data(), found);
            cast(i0 + i, i0 + i + 1, i0 + height, upper_[i].data() + i + 1, found);
        }
        for (std::size_t i = 0; i < height; ++i) {
            for (std::size_t j = i; j < height; ++j) turned_row_[j] = upper_[j][i];
            compare_rows(upper_[i].data() + i, turned_row_.data() + i, height - i, relative_, found);
        }
    }
    void cast(std::size_t i, std::size_t first, std::size_t last, Real* out, Findings& found) {
        if (!cast_distances(matrix_, i, first, last, out)) found.flawed = true;
        note_row(out, last - first, found);
    }

    const PointCloud& matrix_;
    double relative_;
    Tile<Real> upper_;
    Tile<Real> lower_;
    std::array<Real, tile> turned_row_{};
};

/// Rows and columns that are looked through together: of each row's entries, 64 KiB of a memory map lie together.
constexpr std::size_t region_bytes = 65'536;

/// Every entry once: an entry and its mirror image are met at the same time.
template <class Real>
Findings look_through(const PointCloud& matrix, double relative, const Execution& execution) {
    const std::size_t region = region_bytes / sizeof(double);
    const std::size_t strips = region / tile;
    Findings all;
    auto parts = make_buffer<Findings>(execution.budget, strips);
    for (std::size_t i0 = 0; i0 < matrix.n; i0 += region) {
        for (std::size_t j0 = i0; j0 < matrix.n; j0 += region) {
            std::fill(parts.begin(), parts.end(), Findings{});
            const std::size_t here = chain::ceil_div(std::min(region, matrix.n - i0), tile);
            parallel_for(execution, here, [&](std::size_t strip, int, const Execution& own) {
                TileLook<Real> tiles(matrix, relative);
                const std::size_t i = i0 + strip * tile;
                for (std::size_t j = std::max(i, j0); j < std::min(j0 + region, matrix.n); j += tile) {
                    tiles.look(i, j, parts[strip]);
                    own.check();
                }
            });
            for (const Findings& part : parts) all.join(part);
        }
    }
    return all;
}

template <class Real>
[[noreturn]] void throw_first_flaw(const PointCloud& matrix) {
    for (std::size_t i = 0; i < matrix.n; ++i)
        for (std::size_t j = 0; j < matrix.n; ++j) {
            const double value = entry(matrix, i, j);
            if (!flaw_of<Real>(i == j ? std::abs(value) : value).empty()) throw_flaw<Real>(matrix, i, j);
        }
    throw InvalidInput("the distance matrix changed during the call");
}

template <class Real>
[[noreturn]] void throw_first_asymmetry(const PointCloud& matrix, const SymmetryTolerance<Real>& tolerance) {
    for (std::size_t i = 0; i < matrix.n; ++i)
        for (std::size_t j = i + 1; j < matrix.n; ++j) {
            std::array<Real, 2> pair;
            static_cast<void>(cast_distances(matrix, i, j, j + 1, pair.data()));
            static_cast<void>(cast_distances(matrix, j, i, i + 1, pair.data() + 1));
            if (!tolerance.allows(static_cast<double>(pair[0]), static_cast<double>(pair[1])))
                throw_asymmetry(matrix, i, j);
        }
    throw InvalidInput("the distance matrix changed during the call");
}

template <class Real>
UpperTriangle look_at_square(const PointCloud& matrix, const Execution& execution) {
    if (matrix.d != matrix.n)
        throw InvalidInput("a distance matrix must be square, got shape " + adabet::at(matrix.n, matrix.d));
    const double relative = SymmetryTolerance<Real>(matrix.scalar, 0.0).relative;
    const Findings found = look_through<Real>(matrix, relative, execution);
    if (found.flawed) throw_first_flaw<Real>(matrix);
    if (found.own != 0) check_diagonal<Real>(matrix, found.largest);
    const SymmetryTolerance<Real> tolerance(matrix.scalar, found.largest);
    if (!(found.asymmetry <= tolerance.squares)) throw_first_asymmetry(matrix, tolerance);
    return {.entries = matrix, .n = matrix.n, .condensed = false, .symmetric = found.symmetric};
}

template <class Real>
UpperTriangle look_at_condensed(const PointCloud& vector, const Execution& execution) {
    const UpperTriangle triangle{
        .entries = vector, .n = condensed_points(vector.d), .condensed = true, .symmetric = false};
    constexpr std::size_t piece = std::size_t{1} << 16;
    std::atomic<bool> flawed{false};
    parallel_for(execution, chain::ceil_div(vector.d, piece), [&](std::size_t task, int, const Execution& own) {
        std::array<Real, 256> cast;
        const std::size_t end = std::min(vector.d, (task + 1) * piece);
        for (std::size_t k = task * piece; k < end; k += cast.size())
            if (!cast_distances(vector, 0, k, std::min(k + cast.size(), end), cast.data())) flawed.store(true);
        own.check();
    });
    if (flawed.load()) {
        std::size_t k = 0;
        for (std::size_t i = 0; i < triangle.n; ++i)
            for (std::size_t j = i + 1; j < triangle.n; ++j, ++k)
                if (!flaw_of<Real>(entry(vector, 0, k)).empty()) throw_condensed_flaw<Real>(vector, k, i, j);
    }
    return triangle;
}

template <class Real>
class MatrixReader final : public TileReader<Real> {
public:
    MatrixReader(const UpperTriangle& triangle, const PointOrder& order, MemoryBudget& budget)
        : triangle_(triangle), order_(order), turned_(make_buffer<Real>(budget, tile * tile)) {}

    void read(PointRange rows, PointRange columns, Real* out, std::size_t stride) override {
        if (columns.size() == 0) return;
        if (!order_.as_they_stand()) return read_in_order(rows, columns, out, stride);
        if (triangle_.symmetric) return read_rows(rows, columns, out, stride);
        read_above(rows, columns, out, stride);
        read_below(rows, columns, out, stride);
    }

    [[nodiscard]] Real at(std::size_t i, std::size_t j) override {
        return triangle_.distance<Real>(order_(i), order_(j));
    }

private:
    void read_rows(PointRange rows, PointRange columns, Real* out, std::size_t stride) const {
        for (std::size_t i = rows.begin; i < rows.end; ++i) {
            Real* const to = out + (i - rows.begin) * stride;
            static_cast<void>(cast_distances(triangle_.entries, i, columns.begin, columns.end, to));
            if (columns.begin <= i && i < columns.end) to[i - columns.begin] = Real{0};
        }
    }

    /// On the diagonal, and what lies above it.
    void read_above(PointRange rows, PointRange columns, Real* out, std::size_t stride) const {
        for (std::size_t i = rows.begin; i < rows.end; ++i) {
            Real* const to = out + (i - rows.begin) * stride;
            if (columns.begin <= i && i < columns.end) to[i - columns.begin] = Real{0};
            const std::size_t first = std::max(columns.begin, i + 1);
            if (first < columns.end)
                static_cast<void>(triangle_.cast(i, first, columns.end, to + (first - columns.begin)));
        }
    }

    /// Below the diagonal: parts of the rows above it, turned tile by tile.
    void read_below(PointRange rows, PointRange columns, Real* out, std::size_t stride) {
        for (std::size_t i0 = rows.begin; i0 < rows.end; i0 += tile) {
            const std::size_t i1 = std::min(i0 + tile, rows.end);
            for (std::size_t j0 = columns.begin; j0 < std::min(columns.end, i1); j0 += tile) {
                const std::size_t j1 = std::min({j0 + tile, columns.end, i1});
                for (std::size_t j = j0; j < j1; ++j) {
                    const std::size_t first = std::max(i0, j + 1);
                    if (first >= i1) continue;
                    Real* const part = turned_.data() + (j - j0) * tile;
                    static_cast<void>(triangle_.cast(j, first, i1, part + (first - i0)));
                }
                for (std::size_t i = i0; i < i1; ++i) {
                    Real* const to = out + (i - rows.begin) * stride + (j0 - columns.begin);
                    for (std::size_t j = j0; j < std::min(j1, i); ++j) to[j - j0] = turned_[(j - j0) * tile + (i - i0)];
                }
            }
        }
    }

    void read_in_order(PointRange rows, PointRange columns, Real* out, std::size_t stride) const {
        for (std::size_t i = rows.begin; i < rows.end; ++i) {
            Real* const to = out + (i - rows.begin) * stride;
            const std::size_t row = order_(i);
            for (std::size_t j = columns.begin; j < columns.end; ++j) {
                const std::size_t column = order_(j);
                Real& value = to[j - columns.begin];
                if (triangle_.symmetric && row != column) {
                    static_cast<void>(cast_distances(triangle_.entries, row, column, column + 1, &value));
                } else {
                    value = triangle_.distance<Real>(row, column);
                }
            }
        }
    }

    const UpperTriangle& triangle_;
    const PointOrder& order_;
    Buffer<Real> turned_;
};

template <class Real>
class MatrixTiles final : public DistanceTiles<Real> {
public:
    MatrixTiles(const UpperTriangle& triangle, std::span<const Vertex> order, const Execution& execution)
        : triangle_(triangle), rows_(make_buffer<Vertex>(execution.budget, order.size())), order_(rows_) {
        std::copy(order.begin(), order.end(), rows_.begin());
        order_.check(triangle.n);
    }

    [[nodiscard]] std::size_t n() const override { return order_.count(triangle_.n); }
    [[nodiscard]] std::unique_ptr<TileReader<Real>> reader(MemoryBudget& budget) const override {
        return std::make_unique<MatrixReader<Real>>(triangle_, order_, budget);
    }

private:
    UpperTriangle triangle_;
    Buffer<Vertex> rows_;
    PointOrder order_;
};

}  // namespace

template <class Real>
std::unique_ptr<DistanceTiles<Real>> matrix_tiles(const PointCloud& matrix, std::span<const Vertex> order,
                                                  const Execution& execution) {
    return std::make_unique<MatrixTiles<Real>>(look_at_square<Real>(matrix, execution), order, execution);
}

template <class Real>
std::unique_ptr<DistanceTiles<Real>> condensed_tiles(const PointCloud& vector, std::span<const Vertex> order,
                                                     const Execution& execution) {
    return std::make_unique<MatrixTiles<Real>>(look_at_condensed<Real>(vector, execution), order, execution);
}

std::size_t matrix_tiles_bytes(std::size_t n_order) {
    const std::size_t while_looking = region_bytes / sizeof(double) / tile * sizeof(Findings);
    return std::max(n_order * sizeof(Vertex), while_looking);
}

std::size_t matrix_reader_bytes(std::size_t real_size) { return tile * tile * real_size; }

template std::unique_ptr<DistanceTiles<float>> matrix_tiles(const PointCloud&, std::span<const Vertex>,
                                                            const Execution&);
template std::unique_ptr<DistanceTiles<double>> matrix_tiles(const PointCloud&, std::span<const Vertex>,
                                                             const Execution&);
template std::unique_ptr<DistanceTiles<float>> condensed_tiles(const PointCloud&, std::span<const Vertex>,
                                                               const Execution&);
template std::unique_ptr<DistanceTiles<double>> condensed_tiles(const PointCloud&, std::span<const Vertex>,
                                                                const Execution&);

}  // namespace adabet
