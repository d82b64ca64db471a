// Tiles of given matrices: the bits, and the refusals, of read_square and read_condensed.

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <string>

#include "adabet/metric/distance_tiles.hpp"
#include "adabet/metric/matrix_input.hpp"
#include "check.hpp"
#include "metric_support.hpp"

using namespace metric_test;

namespace {

constexpr double infinite = std::numeric_limits<double>::infinity();

std::vector<double> matrix_of(std::size_t n, const std::function<double(std::size_t, std::size_t)>& length) {
    std::vector<double> entries(n * n, 0.0);
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = i + 1; j < n; ++j) entries[i * n + j] = entries[j * n + i] = length(i, j);
    return entries;
}

std::vector<double> random_matrix(std::size_t n, std::uint64_t seed) {
    Lcg random(seed);
    return matrix_of(n, [&](std::size_t, std::size_t) {
        const double length = 1.0 + 0.3 * static_cast<double>(random.gaussian());
        return random.next() % 50 == 0 ? infinite : std::abs(length);
    });
}

template <class Real>
void check_tiles(const DistanceTiles<Real>& tiles, const DistanceMatrix<Real>& whole,
                 const std::vector<Vertex>& order) {
    MemoryBudget budget;
    const std::size_t n = order.empty() ? whole.n : order.size();
    CHECK_EQ(tiles.n(), n);
    const auto row_of = [&](std::size_t i) { return order.empty() ? i : static_cast<std::size_t>(order[i]); };
    const auto reader = tiles.reader(budget);
    CHECK_EQ(budget.used(), matrix_reader_bytes(sizeof(Real)));
    const std::vector<PointRange> ranges{{0, n},     {n / 2, n / 2}, {n / 2, n},          {n / 3, n / 2 + n % 2},
                                         {0, n / 3}, {n - n / 4, n}, {0, n > 0 ? 1U : 0U}};
    bool right = true;
    for (const PointRange& rows : ranges) {
        for (const PointRange& columns : ranges) {
            const std::size_t stride = columns.size() + 2;
            std::vector<Real> out(rows.size() * stride, Real{-3});
            reader->read(rows, columns, out.data(), stride);
            for (std::size_t i = 0; i < rows.size(); ++i) {
                for (std::size_t j = 0; j < columns.size(); ++j) {
                    const Real expected = whole(row_of(rows.begin + i), row_of(columns.begin + j));
                    right = right && std::memcmp(&out[i * stride + j], &expected, sizeof expected) == 0;
                }
                right = right && out[i * stride + columns.size()] == -3;
            }
        }
    }
    CHECK(right);
    bool entries = true;
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; j += 3) entries = entries && reader->at(i, j) == whole(row_of(i), row_of(j));
    CHECK(entries);
}

template <class Real>
void check_square(const PointCloud& matrix) {
    std::vector<Vertex> order(matrix.n);
    std::iota(order.rbegin(), order.rend(), 0);
    if (matrix.n > 5) {
        std::swap(order[1], order[matrix.n / 2]);
        order.resize(matrix.n - 2);
    }
    for (const std::vector<Vertex>& places : {std::vector<Vertex>{}, order}) {
        MemoryBudget budget;
        const Execution execution{.budget = budget, .n_threads = 2};
        const auto whole = read_square<Real>(matrix, execution);
        const std::size_t before = budget.used();
        const auto tiles = matrix_tiles<Real>(matrix, places, execution);
        CHECK(budget.used() - before <= matrix_tiles_bytes(places.size()));
        check_tiles(*tiles, whole.matrix(), places);
    }
}

void squares_of_all_kinds() {
    for (const std::size_t n : {0U, 1U, 2U, 63U, 64U, 65U, 200U}) {
        std::vector<double> exact = random_matrix(n, n + 1);
        check_square<float>(view(exact, n, n));
        check_square<double>(view(exact, n, n));
        // Asymmetric in the last place, the diagonal by rounding, -0.0.
        std::vector<double> rounded = exact;
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = 0; j < i && std::isfinite(rounded[i * n + j]); ++j)
                rounded[i * n + j] = std::nextafter(rounded[i * n + j], (i + j) % 3 == 0 ? 0.0 : 9.0);
        if (n > 2) {
            rounded[0] = 1e-17;
            rounded[1] = rounded[n] = -0.0;
            rounded[2 * n] = rounded[2] = infinite;
        }
        check_square<float>(view(rounded, n, n));
        check_square<double>(view(rounded, n, n));
        std::vector<float> single(rounded.begin(), rounded.end());
        check_square<float>(view(single, n, n));
        check_square<double>(view(single, n, n));
        // Turned, with gaps between the entries.
        std::vector<double> gaps(n * n * 2, -1.0);
        for (std::size_t k = 0; k < n * n; ++k) gaps[2 * k] = rounded[k];
        PointCloud turned = view(gaps, n, n);
        turned.point_stride = 2;
        turned.coordinate_stride = static_cast<std::ptrdiff_t>(2 * n);
        check_square<float>(turned);
        std::vector<std::int16_t> whole(n * n);
        for (std::size_t k = 0; k < n * n; ++k)
            whole[k] = static_cast<std::int16_t>(k / (n + 1) * 0 + (k % (n + 1) != 0));
        check_square<float>(view(whole, n, n));
    }
}

template <class Real>
void check_condensed(const std::vector<double>& vector, std::size_t n) {
    std::vector<Vertex> order(n);
    std::iota(order.rbegin(), order.rend(), 0);
    for (const std::vector<Vertex>& places : {std::vector<Vertex>{}, order}) {
        MemoryBudget budget;
        const Execution execution{.budget = budget, .n_threads = 2};
        const PointCloud entries = view(vector, 1, vector.size());
        const auto whole = read_condensed<Real>(entries, execution);
        check_tiles(*condensed_tiles<Real>(entries, places, execution), whole.matrix(), places);
    }
}

void condensed_of_all_sizes() {
    for (const std::size_t n : {1U, 2U, 3U, 64U, 131U}) {
        Lcg random(n);
        const std::vector<double> vector =
            cloud_of<double>(n * (n - 1) / 2, [&] { return std::abs(static_cast<double>(random.gaussian())); });
        check_condensed<float>(vector, n);
        check_condensed<double>(vector, n);
    }
}

std::string message_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const InvalidInput& error) {
        return error.what();
    }
    return "accepted";
}

/// Both ways of reading say the same.
template <class Real>
void check_refusal(const std::vector<double>& entries, std::size_t n, bool is_refused) {
    MemoryBudget budget;
    const Execution execution{.budget = budget, .n_threads = 2};
    const std::string a = message_of([&] { static_cast<void>(read_square<Real>(view(entries, n, n), execution)); });
    const std::string b =
        message_of([&] { static_cast<void>(matrix_tiles<Real>(view(entries, n, n), {}, execution)); });
    CHECK_EQ(a, b);
    CHECK_EQ(a != "accepted", is_refused);
    CHECK_EQ(budget.used(), 0U);
}

void refusals_are_the_same() {
    const std::size_t n = 150;
    const std::vector<double> good = random_matrix(n, 5);
    const auto change = [&](std::initializer_list<std::pair<std::size_t, double>> changes) {
        std::vector<double> entries = good;
        for (const auto& [place, value] : changes) entries[place] = value;
        return entries;
    };
    const double nan = std::numeric_limits<double>::quiet_NaN();
    check_refusal<float>(good, n, false);
    check_refusal<float>(change({{70 * n + 3, nan}, {71 * n + 1, -1.0}}), n, true);
    check_refusal<double>(change({{3 * n + 140, -1.0}}), n, true);
    check_refusal<float>(change({{3 * n + 140, 1e300}}), n, true);
    check_refusal<float>(change({{3 * n + 140, 1e30}, {140 * n + 3, 1e30}}), n, false);
    check_refusal<float>(change({{80 * n + 80, nan}}), n, true);
    check_refusal<float>(change({{80 * n + 80, 0.5}}), n, true);
    check_refusal<float>(change({{80 * n + 80, -0.5}}), n, true);
    check_refusal<double>(change({{80 * n + 80, infinite}}), n, true);
    check_refusal<float>(change({{80 * n + 80, 1e-7}}), n, false);
    check_refusal<float>(change({{100 * n + 70, 5.0}, {9 * n + 120, 7.0}}), n, true);
    check_refusal<float>(change({{100 * n + 99, 5.0}}), n, true);
    check_refusal<double>(change({{100 * n + 70, infinite}, {70 * n + 100, 1.0}}), n, true);
    // Gram-form rounding: allowed where the squares agree, and judged by the largest entry of all.
    check_refusal<float>(change({{100 * n + 70, 1e-8}, {70 * n + 100, 3e-8}}), n, false);
    check_refusal<float>(change({{100 * n + 70, 1e-2}, {70 * n + 100, 3e-2}}), n, true);
    check_refusal<float>(
        change({{100 * n + 70, 1e-2}, {70 * n + 100, 3e-2}, {149 * n + 148, 1e6}, {148 * n + 149, 1e6}}), n, false);
    MemoryBudget budget;
    const Execution execution{.budget = budget};
    CHECK_THROWS_SAYING(InvalidInput, "square", matrix_tiles<float>(view(good, n, n - 1), {}, execution));
    CHECK_THROWS_SAYING(InvalidInput, "place 1",
                        matrix_tiles<float>(view(good, n, n), std::vector<Vertex>{0, 150}, execution));
    std::vector<double> vector(n * (n - 1) / 2, 1.0);
    vector[700] = -2.0;
    const PointCloud entries = view(vector, 1, vector.size());
    CHECK_EQ(message_of([&] { static_cast<void>(read_condensed<float>(entries, execution)); }),
             message_of([&] { static_cast<void>(condensed_tiles<float>(entries, {}, execution)); }));
    CHECK_THROWS_SAYING(InvalidInput, "entry 700", condensed_tiles<float>(entries, {}, execution));
    CHECK_THROWS_SAYING(InvalidInput, "condensed",
                        condensed_tiles<float>(view(vector, 1, vector.size() - 1), {}, execution));
}

}  // namespace

int main() {
    squares_of_all_kinds();
    condensed_of_all_sizes();
    refusals_are_the_same();
    return check::result();
}
