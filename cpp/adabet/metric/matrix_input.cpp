#include "adabet/metric/matrix_input.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

#include "adabet/errors.hpp"
#include "adabet/metric/matrix_entries.hpp"
#include "adabet/metric/sparse_entries.hpp"

namespace adabet {

namespace {

constexpr std::size_t tile = 64;
constexpr std::size_t none = static_cast<std::size_t>(-1);

/// The least index that any thread reported.
class FirstBad {
public:
    void report(std::size_t index) {
        std::size_t seen = index_.load(std::memory_order_relaxed);
        while (index < seen && !index_.compare_exchange_weak(seen, index, std::memory_order_relaxed)) {
        }
    }
    [[nodiscard]] std::size_t get() const { return index_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::size_t> index_{none};
};

[[nodiscard]] std::size_t tiles_of(std::size_t n) { return (n + tile - 1) / tile; }

/// Calls body(i, j_first, j_last) for every row segment of the upper triangle, tile by tile, so that both the segment
/// and its mirror image stay in cache.
template <class Body>
void for_upper_tiles(std::size_t n, const Execution& execution, const Body& body) {
    parallel_for(execution, tiles_of(n), [&](std::size_t block, int) {
        const std::size_t i_last = std::min(n, (block + 1) * tile);
        for (std::size_t j0 = block * tile; j0 < n; j0 += tile) {
            for (std::size_t i = block * tile; i < i_last; ++i) {
                body(i, std::max(j0, i + 1), std::min(n, j0 + tile));
            }
        }
    });
}

template <class Real>
void mirror_upper(Real* out, std::size_t n, const Execution& execution) {
    for_upper_tiles(n, execution, [out, n](std::size_t i, std::size_t first, std::size_t last) {
        for (std::size_t j = first; j < last; ++j) out[j * n + i] = out[i * n + j];
    });
}

/// Throws at the first pair that `agree(a, b)` refuses, a above the diagonal.
template <class Real, class Agree>
[[nodiscard]] std::size_t first_asymmetry(const Real* out, std::size_t n, const Execution& execution,
                                          const Agree& agree) {
    FirstBad bad;
    for_upper_tiles(n, execution, [&](std::size_t i, std::size_t first, std::size_t last) {
        for (std::size_t j = first; j < last; ++j) {
            if (!agree(out[i * n + j], out[j * n + i])) {
                bad.report(i * n + j);
                return;
            }
        }
    });
    return bad.get();
}

/// Casts every entry off the diagonal; the diagonal's absolute values are left in place. Returns the largest finite one.
template <class Real>
double cast_matrix(const PointCloud& matrix, Real* out, const Execution& execution) {
    const std::size_t n = matrix.n;
    FirstBad bad_row;
    std::vector<Real> largest(tiles_of(n), Real(0));
    parallel_for(execution, tiles_of(n), [&](std::size_t block, int) {
        const std::size_t last = std::min(n, (block + 1) * tile);
        for (std::size_t i = block * tile; i < last && i < bad_row.get(); ++i) {
            Real* const row = out + i * n;
            const bool left = cast_distances(matrix, i, 0, i, row);
            const bool right = cast_distances(matrix, i, i + 1, n, row + i + 1);
            const double own = std::abs(entry(matrix, i, i));
            if (!left || !right || std::isnan(own)) {
                bad_row.report(i);
                return;
            }
            row[i] = Real(0);
            Real most = largest[block];
            for (std::size_t j = 0; j < n; ++j) most = row[j] > most && row[j] < infinity<Real> ? row[j] : most;
            largest[block] = most;
        }
    });
    if (const std::size_t i = bad_row.get(); i != none) {
        for (std::size_t j = 0; j < n; ++j) {
            const double value = entry(matrix, i, j);
            if (!flaw_of<Real>(i == j ? std::abs(value) : value).empty()) throw_flaw<Real>(matrix, i, j);
        }
    }
    return n == 0 ? 0.0 : static_cast<double>(*std::max_element(largest.begin(), largest.end()));
}

template <class Real>
[[nodiscard]] Buffer<Real> square_buffer(std::size_t n, const Execution& execution) {
    if (n != 0 && n > none / sizeof(Real) / n)
        throw BudgetExceeded(execution.budget.limit(), none, "a distance matrix");
    return make_buffer<Real>(execution.budget, n * n);
}

}  // namespace

template <class Real>
bool is_canonical(const PointCloud& matrix, const Execution& execution) {
    using Bits = std::conditional_t<sizeof(Real) == 4, std::uint32_t, std::uint64_t>;
    constexpr bool single = std::is_same_v<Real, float>;
    constexpr auto infinite = std::bit_cast<Bits>(infinity<Real>);
    const std::size_t n = matrix.n;
    if (matrix.d != n || matrix.scalar != (single ? ScalarType::float32 : ScalarType::float64)) return false;
    if (n == 0) return true;
    const auto stride = static_cast<std::size_t>(std::max<std::ptrdiff_t>(matrix.point_stride, 0));
    if (n > 1 && (matrix.coordinate_stride != 1 || stride < n)) return false;
    const auto* const data = static_cast<const Real*>(matrix.data);
    std::atomic<bool> good{true};
    parallel_for(execution, tiles_of(n), [&](std::size_t block, int) {
        std::array<Real, tile * tile> turned;  // the mirrored tile, transposed, so that the comparison runs along rows
        const std::size_t i0 = block * tile;
        const std::size_t height = std::min(tile, n - i0);
        for (std::size_t i = i0; i < i0 + height; ++i) {
            if (std::bit_cast<Bits>(data[i * stride + i]) != 0) good.store(false, std::memory_order_relaxed);
        }
        for (std::size_t j0 = i0; j0 < n && good.load(std::memory_order_relaxed); j0 += tile) {
            const std::size_t width = std::min(tile, n - j0);
            for (std::size_t j = 0; j < width; ++j) {
                const Real* const from = data + (j0 + j) * stride + i0;
                for (std::size_t i = 0; i < height; ++i) turned[i * tile + j] = from[i];
            }
            Bits apart = 0;  // any bit that differs from the mirror image, or a value that is no canonical distance
            for (std::size_t i = 0; i < height; ++i) {
                const Real* const row = data + (i0 + i) * stride + j0;
                const Real* const mirrored = turned.data() + i * tile;
                for (std::size_t j = 0; j < width; ++j) {
                    const auto bits = std::bit_cast<Bits>(row[j]);
                    // As unsigned numbers, -0.0, negative values and NaN all lie above +inf.
                    apart |= (bits ^ std::bit_cast<Bits>(mirrored[j])) | static_cast<Bits>(bits > infinite);
                }
            }
            if (apart != 0) good.store(false, std::memory_order_relaxed);
        }
    });
    return good.load();
}

template <class Real>
MatrixInput<Real> read_square(const PointCloud& matrix, const Execution& execution) {
    const std::size_t n = matrix.n;
    if (matrix.d != n) {
        throw InvalidInput("a distance matrix must be square, got shape " + at(matrix.n, matrix.d));
    }
    if (is_canonical<Real>(matrix, execution)) {
        const std::size_t stride = n > 1 ? static_cast<std::size_t>(matrix.point_stride) : n;
        return MatrixInput<Real>(DistanceMatrix<Real>{static_cast<const Real*>(matrix.data), n, stride});
    }
    Buffer<Real> out = square_buffer<Real>(n, execution);
    const double largest = cast_matrix(matrix, out.data(), execution);
    check_diagonal<Real>(matrix, largest);
    const SymmetryTolerance<Real> tolerance(matrix.scalar, largest);
    const std::size_t bad = first_asymmetry(out.data(), n, execution, [&tolerance](Real a, Real b) {
        return a == b || tolerance.allows(static_cast<double>(a), static_cast<double>(b));
    });
    if (bad != none) {
        throw_asymmetry(matrix, bad / n, bad % n);
    }
    mirror_upper(out.data(), n, execution);
    return MatrixInput<Real>(std::move(out), n);
}

std::size_t condensed_points(std::size_t length) {
    auto n = static_cast<std::size_t>((1.0 + std::sqrt(1.0 + 8.0 * static_cast<double>(length))) / 2.0);
    const auto pairs = [](std::size_t points) {
        return points % 2 == 0 ? points / 2 * (points - 1) : (points - 1) / 2 * points;
    };
    while (n > 1 && pairs(n) > length) --n;
    while (pairs(n + 1) <= length) ++n;
    if (pairs(n) != length) {
        throw InvalidInput("a condensed distance matrix has n (n - 1) / 2 entries, got " + std::to_string(length) +
                           " (" + std::to_string(pairs(n)) + " for n = " + std::to_string(n) + ", " +
                           std::to_string(pairs(n + 1)) + " for n = " + std::to_string(n + 1) + ")");
    }
    return n;
}

template <class Real>
MatrixInput<Real> read_condensed(const PointCloud& vector, const Execution& execution) {
    const std::size_t n = condensed_points(vector.d);
    const auto start = [n](std::size_t i) { return condensed_start(i, n); };
    Buffer<Real> out = square_buffer<Real>(n, execution);
    FirstBad bad_row;
    parallel_for(execution, tiles_of(n), [&](std::size_t block, int) {
        for (std::size_t i = block * tile; i < std::min(n, (block + 1) * tile); ++i) {
            out[i * n + i] = Real(0);
            if (!cast_distances(vector, 0, start(i), start(i) + (n - i - 1), out.data() + i * n + i + 1))
                bad_row.report(i);
        }
    });
    if (const std::size_t i = bad_row.get(); i != none) {
        for (std::size_t j = i + 1; j < n; ++j) {
            const std::size_t k = start(i) + (j - i - 1);
            const double value = entry(vector, 0, k);
            if (!flaw_of<Real>(value).empty()) {
                throw_condensed_flaw<Real>(vector, k, i, j);
            }
        }
    }
    mirror_upper(out.data(), n, execution);
    return MatrixInput<Real>(std::move(out), n);
}

template <class Real>
MatrixInput<Real> read_sparse(const SparseEntries& graph, const Execution& execution) {
    const std::size_t n = graph.n;
    Buffer<Real> out = square_buffer<Real>(n, execution);
    // NaN marks what the graph does not name: no valid length is NaN, so a pair that comes twice shows.
    constexpr Real missing = std::numeric_limits<Real>::quiet_NaN();
    parallel_for(execution, n, [&](std::size_t i, int) { std::fill_n(out.data() + i * n, n, missing); });
    std::array<bool, 2> triangle{};  // lower, upper
    double largest = 0;
    for (std::size_t k = 0; k < graph.lengths.d; ++k) {
        if (k % (std::size_t{1} << 20) == 0) execution.check();
        if (!graph.is_inside(k)) throw_outside(graph, k);
        const auto i = static_cast<std::size_t>(graph.rows[k]);
        const auto j = static_cast<std::size_t>(graph.columns[k]);
        const double value = entry(graph.lengths, 0, k);
        Real& place = out[i * n + j];
        if (!std::isnan(place)) throw_given_twice(i, j);
        if (!cast_distances(graph.lengths, 0, k, k + 1, &place)) throw_no_distance<Real>(graph, k);
        if (i == j && value != 0) throw_off_diagonal(graph, k);
        if (i != j) triangle[i < j ? 1 : 0] = true;
        if (std::isfinite(value)) largest = std::max(largest, value);
    }
    const bool both = triangle[0] && triangle[1];
    const SymmetryTolerance<Real> tolerance(graph.lengths.scalar, largest);
    const auto length = [](Real value) { return std::isnan(value) ? infinity<Real> : value; };
    const std::size_t bad = !both ? none : first_asymmetry(out.data(), n, execution, [&](Real a, Real b) {
        return tolerance.allows(static_cast<double>(length(a)), static_cast<double>(length(b)));
    });
    if (bad != none) {
        const std::size_t i = bad / n;
        const std::size_t j = bad % n;
        throw_disagreement(i, j, static_cast<double>(out[i * n + j]), static_cast<double>(out[j * n + i]));
    }
    for_upper_tiles(n, execution, [&](std::size_t i, std::size_t first, std::size_t last) {
        for (std::size_t j = first; j < last; ++j) {
            const Real upper = out[i * n + j];
            out[j * n + i] = out[i * n + j] = length(std::isnan(upper) ? out[j * n + i] : upper);
        }
    });
    for (std::size_t i = 0; i < n; ++i) out[i * n + i] = Real(0);
    return MatrixInput<Real>(std::move(out), n);
}

template bool is_canonical<float>(const PointCloud&, const Execution&);
template bool is_canonical<double>(const PointCloud&, const Execution&);
template MatrixInput<float> read_square(const PointCloud&, const Execution&);
template MatrixInput<double> read_square(const PointCloud&, const Execution&);
template MatrixInput<float> read_condensed(const PointCloud&, const Execution&);
template MatrixInput<double> read_condensed(const PointCloud&, const Execution&);
template MatrixInput<float> read_sparse(const SparseEntries&, const Execution&);
template MatrixInput<double> read_sparse(const SparseEntries&, const Execution&);

}  // namespace adabet
