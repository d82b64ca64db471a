// Tiles of distances: the bits of pairwise_distances for every pair, whatever the ranges, the order and the input.

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <thread>

#include "adabet/metric/point_tiles.hpp"
#include "check.hpp"
#include "metric_support.hpp"

using namespace metric_test;

namespace {

constexpr Metric metrics[] = {Metric::euclidean, Metric::sqeuclidean, Metric::cityblock,
                              Metric::chebyshev, Metric::cosine,      Metric::correlation};

template <class Real>
bool same(Real a, Real b) {
    return std::memcmp(&a, &b, sizeof a) == 0;
}

std::vector<Vertex> shuffled(std::size_t n, std::uint64_t seed) {
    std::vector<Vertex> order(n);
    std::iota(order.begin(), order.end(), 0);
    Lcg random(seed);
    for (std::size_t k = n; k > 1; --k) std::swap(order[k - 1], order[random.next() % k]);
    return order;
}

/// Ranges of all sorts: whole, odd offsets, one point, none, more than a reader takes at a time.
std::vector<PointRange> ranges_of(std::size_t n) {
    std::vector<PointRange> ranges{{0, n}, {0, 0}, {n, n}};
    if (n == 0) return ranges;
    ranges.insert(ranges.end(), {{0, 1}, {n - 1, n}, {n / 2, n}, {n / 3, n / 2 + 1}, {n > 3 ? 3U : 0U, n}});
    if (n > 13) ranges.insert(ranges.end(), {{5, 13}, {7, 9}, {8, 13}, {1, n - 1}});
    return ranges;
}

template <class Real>
void check_against(const DistanceTiles<Real>& tiles, const std::vector<Real>& whole, std::size_t n) {
    MemoryBudget budget;
    CHECK_EQ(tiles.n(), n);
    const auto reader = tiles.reader(budget);
    const std::size_t before = budget.used();
    const std::size_t gap = 3;
    bool right = true;
    bool untouched = true;
    const std::vector<PointRange> ranges = ranges_of(n);
    for (std::size_t k = 0; k < ranges.size(); ++k) {
        for (const std::size_t shift : {0U, 1U, 5U}) {
            const PointRange rows = ranges[k];
            const PointRange columns = ranges[(k * 7 + shift) % ranges.size()];
            const std::size_t stride = columns.size() + gap;
            std::vector<Real> out(rows.size() * stride, Real{-7});
            reader->read(rows, columns, out.data(), stride);
            for (std::size_t i = 0; i < rows.size(); ++i) {
                for (std::size_t j = 0; j < columns.size(); ++j)
                    right = right && same(out[i * stride + j], whole[(rows.begin + i) * n + columns.begin + j]);
                for (std::size_t j = columns.size(); j < stride; ++j)
                    untouched = untouched && out[i * stride + j] == -7;
            }
        }
    }
    CHECK(right);
    CHECK(untouched);
    bool entries = true;
    for (std::size_t i = 0; i < n; i += 1 + n / 37)
        for (std::size_t j = 0; j < n; ++j) entries = entries && same(reader->at(i, j), whole[i * n + j]);
    CHECK(entries);
    CHECK_EQ(budget.used(), before);
}

/// Tiles of all instruction sets, as the points stand and in two orders, one of which leaves points out.
template <class Real>
void check_points(const PointCloud& points, Metric metric) {
    const std::size_t n = points.n;
    std::vector<Vertex> some = shuffled(n, 99);
    some.resize(n - n / 4);
    for (const std::vector<Vertex>& order : {std::vector<Vertex>{}, shuffled(n, 5), some}) {
        const std::size_t count = order.empty() ? n : order.size();
        const std::vector<Real> all = distances<Real>(points, metric);
        std::vector<Real> whole(count * count);
        for (std::size_t i = 0; i < count; ++i)
            for (std::size_t j = 0; j < count; ++j) {
                const std::size_t a = order.empty() ? i : static_cast<std::size_t>(order[i]);
                const std::size_t b = order.empty() ? j : static_cast<std::size_t>(order[j]);
                whole[i * count + j] = all[a * n + b];
            }
        for (const Isa isa : available_isas()) {
            MemoryBudget budget;
            const Execution execution{.budget = budget, .n_threads = 2};
            std::vector<Real> ordered(count * count, Real{-1});
            pairwise_distances_on(isa, points, metric, ordered.data(), count, execution, order);
            CHECK(same_bits(ordered, whole));
            const auto tiles = point_tiles_on<Real>(isa, points, metric, order, execution);
            CHECK(budget.used() <= point_tiles_bytes(points, metric, order.size()));
            const std::size_t held = budget.used();
            {
                const auto reader = tiles->reader(budget);
                CHECK(budget.used() - held <= point_reader_bytes(points, metric, sizeof(Real)));
            }
            check_against(*tiles, whole, count);
        }
    }
}

void every_dimension_and_metric() {
    for (const std::size_t d : {1U, 2U, 3U, 7U, 64U, 65U, 512U, 1025U}) {
        Lcg random(d);
        const std::size_t n = d > 64 ? 70 : 83;
        std::vector<float> x = cloud_of<float>(n * d, [&] { return random.gaussian(); });
        for (std::size_t k = 0; k < 2 * d; ++k) x[(n - 2) * d + k] = x[k];  // two pairs of equal points
        for (const Metric metric : metrics) {
            if (metric == Metric::correlation && d < 3) continue;
            check_points<float>(view(x, n, d), metric);
            check_points<double>(view(x, n, d), metric);
        }
    }
}

/// More rows, columns and chunks than a reader takes at a time.
void beyond_one_block() {
    Lcg random(17);
    for (const auto& [n, d] : {std::pair<std::size_t, std::size_t>{333, 3}, {333, 80}, {5, 9000}, {9, 17'000}}) {
        const std::vector<float> x = cloud_of<float>(n * d, [&] { return random.gaussian(); });
        check_points<float>(view(x, n, d), Metric::euclidean);
        check_points<double>(view(x, n, d), Metric::euclidean);
        check_points<float>(view(x, n, d), Metric::chebyshev);
    }
}

template <class T>
void check_type(ScalarType scalar, std::size_t d) {
    Lcg random(static_cast<std::uint64_t>(scalar) + 3);
    const std::size_t n = 37;
    const auto small = [&] { return static_cast<T>(random.next() % 100); };
    const std::vector<T> x = cloud_of<T>(n * d, small);
    PointCloud points{
        .data = x.data(), .scalar = scalar, .n = n, .d = d, .point_stride = static_cast<std::ptrdiff_t>(d)};
    check_points<float>(points, Metric::euclidean);
    check_points<double>(points, Metric::cityblock);
    // Columns of a matrix, backwards.
    points = {.data = x.data() + (n * d - 1),
              .scalar = scalar,
              .n = d,
              .d = n,
              .point_stride = -1,
              .coordinate_stride = -static_cast<std::ptrdiff_t>(d)};
    check_points<float>(points, Metric::sqeuclidean);
}

void every_type_and_stride() {
    for (const std::size_t d : {5U, 70U}) {
        check_type<double>(ScalarType::float64, d);
        check_type<float>(ScalarType::float32, d);
        check_type<std::int8_t>(ScalarType::int8, d);
        check_type<std::int16_t>(ScalarType::int16, d);
        check_type<std::int32_t>(ScalarType::int32, d);
        check_type<std::int64_t>(ScalarType::int64, d);
        check_type<std::uint8_t>(ScalarType::uint8, d);
        check_type<std::uint8_t>(ScalarType::boolean, d);
        check_type<std::uint16_t>(ScalarType::uint16, d);
        check_type<std::uint32_t>(ScalarType::uint32, d);
        check_type<std::uint64_t>(ScalarType::uint64, d);
        check_type<std::uint16_t>(ScalarType::float16, d);
        check_type<std::uint16_t>(ScalarType::bfloat16, d);
    }
}

void few_points() {
    const std::vector<float> x{1, 2, 3, 4, 5, 6};
    for (const std::size_t d : {0U, 1U, 3U}) {
        for (const std::size_t n : {0U, 1U, 2U}) {
            check_points<float>(view(x, n, d), Metric::euclidean);
            check_points<double>(view(x, n, d), Metric::cityblock);
        }
    }
}

/// Squares that leave fp32's or fp64's range, and points so close that they vanish.
void extreme_scales() {
    Lcg random(8);
    for (const std::size_t d : {3U, 100U}) {
        const std::size_t n = 21;
        for (const double scale : {1e-300, 1e-160, 1e-22, 1e19, 1e150}) {
            std::vector<double> x =
                cloud_of<double>(n * d, [&] { return static_cast<double>(random.gaussian()) * scale; });
            for (std::size_t k = 0; k < d; ++k) x[4 * d + k] = x[9 * d + k];
            check_points<double>(view(x, n, d), Metric::euclidean);
            if (scale > 1e30) continue;
            check_points<float>(view(x, n, d), Metric::euclidean);
            if (scale < 1e-30) continue;
            std::vector<float> single(x.begin(), x.end());
            check_points<float>(view(single, n, d), Metric::euclidean);
        }
    }
}

void bad_input_is_named() {
    MemoryBudget budget;
    const Execution execution{.budget = budget, .n_threads = 2};
    for (const std::size_t d : {4U, 90U}) {
        std::vector<float> x(20 * d, 1.0F);
        x[7 * d + 3] = std::numeric_limits<float>::quiet_NaN();
        const std::vector<Vertex> order = shuffled(20, 3);
        CHECK_THROWS_SAYING(InvalidInput, "nan at row 7, column 3",
                            point_tiles<float>(view(x, 20, d), Metric::euclidean, order, execution));
        x[7 * d + 3] = 3e38F;
        x[2 * d + 3] = -3e38F;
        const auto tiles = point_tiles<float>(view(x, 20, d), Metric::euclidean, order, execution);
        const auto reader = tiles->reader(budget);
        std::vector<float> out(400);
        CHECK_THROWS_SAYING(InvalidInput, "overflows float32", reader->read({0, 20}, {0, 20}, out.data(), 20));
        const auto place = [&](Vertex row) {
            return static_cast<std::size_t>(std::find(order.begin(), order.end(), row) - order.begin());
        };
        CHECK_THROWS_SAYING(InvalidInput, "rows 7 and 2", static_cast<void>(reader->at(place(7), place(2))));
        std::fill_n(x.begin() + static_cast<std::ptrdiff_t>(3 * d), d, 0.0F);
        CHECK_THROWS_SAYING(InvalidInput, "row 3 is zero",
                            point_tiles<float>(view(x, 20, d), Metric::cosine, order, execution));
    }
    const std::vector<float> x(12, 0.0F);
    for (const Vertex bad : {-1, 4}) {
        const std::vector<Vertex> order{0, 1, bad};
        std::vector<float> out(9);
        CHECK_THROWS_SAYING(InvalidInput, "place 2",
                            point_tiles<float>(view(x, 4, 3), Metric::euclidean, order, execution));
        CHECK_THROWS_SAYING(InvalidInput, "place 2",
                            pairwise_distances(view(x, 4, 3), Metric::euclidean, out.data(), 3, execution, order));
    }
    CHECK_EQ(budget.used(), 0U);
    MemoryBudget little(1000);
    CHECK_THROWS(BudgetExceeded, point_tiles<float>(view(std::vector<float>(600), 200, 3), Metric::euclidean, {},
                                                    Execution{.budget = little}));
    CHECK_EQ(little.used(), 0U);
}

void readers_on_threads() {
    Lcg random(4);
    for (const std::size_t d : {3U, 130U}) {
        const std::size_t n = 301;
        const std::vector<float> x = cloud_of<float>(n * d, [&] { return random.gaussian(); });
        const std::vector<float> whole = distances<float>(view(x, n, d));
        MemoryBudget budget;
        const auto tiles = point_tiles<float>(view(x, n, d), Metric::euclidean, {}, Execution{.budget = budget});
        std::vector<float> out(n * n);
        std::vector<std::jthread> threads;
        for (std::size_t t = 0; t < 3; ++t)
            threads.emplace_back([&, t] {
                const auto reader = tiles->reader(budget);
                for (std::size_t i = t * 32; i < n; i += 96)
                    reader->read({i, std::min(i + 32, n)}, {0, n}, out.data() + i * n, n);
            });
        threads.clear();
        CHECK(same_bits(out, whole));
    }
}

}  // namespace

int main() {
    every_dimension_and_metric();
    beyond_one_block();
    every_type_and_stride();
    few_points();
    extreme_scales();
    bad_input_is_named();
    readers_on_threads();
    return check::result();
}
