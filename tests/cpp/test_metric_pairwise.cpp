// Pairwise distances as a caller sees them: accuracy, types, strides, threads, subsets, bad input, memory.

#include <algorithm>
#include <limits>
#include <memory>
#include <string>

#include "adabet/metric/load.hpp"
#include "check.hpp"
#include "metric_support.hpp"

namespace {

using namespace metric_test;

constexpr double inf = std::numeric_limits<double>::infinity();

template <class T>
double direct(const std::vector<T>& x, std::size_t d, std::size_t i, std::size_t j) {
    long double sum = 0;
    for (std::size_t k = 0; k < d; ++k) {
        const long double difference = static_cast<long double>(x[i * d + k]) - static_cast<long double>(x[j * d + k]);
        sum += difference * difference;
    }
    return static_cast<double>(std::sqrt(sum));
}

template <class T, class Real>
double largest_relative_error(const std::vector<T>& x, std::size_t n, std::size_t d, const std::vector<Real>& out) {
    double worst = 0.0;
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < i; ++j) {
            const double exact = direct(x, d, i, j);
            if (exact > 0.0) worst = std::max(worst, std::abs(static_cast<double>(out[i * n + j]) - exact) / exact);
        }
    return worst;
}

void accuracy() {
    const std::size_t n = 6;
    const std::size_t d = 100'352;
    Lcg random(3);
    const auto gaussian = cloud_of<float>(n * d, [&] { return random.gaussian(); });
    auto near = gaussian;  // row 1 is row 0 but for 1e-4, which fp32 holds with few digits
    for (std::size_t k = 0; k < d; ++k) near[d + k] = near[k] + 1e-4F * random.gaussian();
    const auto transformed = [&](float offset, float spread) {
        auto x = gaussian;
        for (float& v : x) v = offset + spread * v;
        return x;
    };
    for (const auto& x : {gaussian, transformed(10.0F, 1.0F), transformed(100.0F, 0.01F), near,
                          transformed(0.0F, 1e-22F), transformed(0.0F, 1e19F), transformed(0.0F, 1e-40F)})
        CHECK(largest_relative_error(x, n, d, distances<float>(view(x, n, d))) <= 1.2e-7);
    for (const std::size_t width : {65UL, 70UL, 129UL, 1000UL, 2100UL}) {
        const std::vector<float> x(gaussian.begin(), gaussian.begin() + static_cast<std::ptrdiff_t>(40 * width));
        CHECK(largest_relative_error(x, 40, width, distances<float>(view(x, 40, width))) <= 1.2e-7);
    }
    const std::vector<float> narrow(gaussian.begin(), gaussian.begin() + 50L * 64);
    CHECK(largest_relative_error(narrow, 50, 64, distances<float>(view(narrow, 50, 64))) <= 5.97e-8);  // one rounding
    CHECK(largest_relative_error(narrow, 50, 64, distances<double>(view(narrow, 50, 64))) <= 1e-15);
}

/// float64 rows whose squares fp64 cannot hold.
void far_scales_in_double() {
    for (const std::size_t d : {3UL, 200UL})
        for (const double scale : {1e-300, 1e-170, 1e-155, 1e160, 1e300}) {
            Lcg random(d);
            const auto x = cloud_of<double>(5 * d, [&] { return scale * random.gaussian(); });
            const auto out = distances<double>(view(x, 5, d));
            CHECK(largest_relative_error(x, 5, d, out) <= (scale < 1e-299 ? 1e-7 : 1e-14));
        }
    const std::vector<double> equal(400, 3.5);
    CHECK(distances<double>(view(equal, 2, 200)) == std::vector<double>(4, 0.0));
    const std::vector<double> denormal{0.0, 5e-324};
    CHECK_EQ(distances<double>(view(denormal, 2, 1))[1], 5e-324);
    CHECK_EQ(distances<float>(view(denormal, 2, 1))[1], 0.0F);
}

/// Values that every type holds give the bits of the float cloud (float64 input: of fp64).
template <class T>
void check_type(std::size_t n, std::size_t d, ScalarType scalar) {
    Lcg random(n + d);
    const auto small = cloud_of<int>(n * d, [&] { return static_cast<int>(random.next() % 2U); });
    std::vector<float> as_float(small.begin(), small.end());
    std::vector<double> as_double(small.begin(), small.end());
    std::unique_ptr<T[]> stored(new T[n * d]);
    for (std::size_t k = 0; k < n * d; ++k) stored[k] = static_cast<T>(small[k]);
    const PointCloud points{.data = stored.get(),
                            .scalar = scalar,
                            .n = n,
                            .d = d,
                            .point_stride = static_cast<std::ptrdiff_t>(d),
                            .coordinate_stride = 1};
    for (const Isa isa : available_isas()) {
        CHECK(same_bits(distances<float>(points, Metric::euclidean, isa),
                        distances<float>(view(as_float, n, d), Metric::euclidean, isa)));
        CHECK(same_bits(distances<double>(points, Metric::cityblock, isa),
                        distances<double>(view(as_double, n, d), Metric::cityblock, isa)));
    }
}

void scalar_types() {
    for (const std::size_t d : {5UL, 130UL, 1500UL}) {
        check_type<std::int8_t>(9, d, ScalarType::int8);
        check_type<std::int16_t>(9, d, ScalarType::int16);
        check_type<std::int32_t>(9, d, ScalarType::int32);
        check_type<std::int64_t>(9, d, ScalarType::int64);
        check_type<std::uint8_t>(9, d, ScalarType::uint8);
        check_type<std::uint16_t>(9, d, ScalarType::uint16);
        check_type<std::uint32_t>(9, d, ScalarType::uint32);
        check_type<std::uint64_t>(9, d, ScalarType::uint64);
        check_type<bool>(9, d, ScalarType::boolean);
        check_type<double>(9, d, ScalarType::float64);
    }
    // Wide integers keep the bits that fp32 has not.
    const std::vector<std::int64_t> wide{1'000'000'000'000, 1'000'000'000'001};
    CHECK_EQ(distances<float>(view(wide, 2, 1))[1], 1.0F);
    std::vector<std::int32_t> ints(200, 2'000'000'000);
    ints[150] -= 1;
    CHECK_EQ(distances<float>(view(ints, 2, 100))[1], 1.0F);
}

/// Every half and every bfloat16 against its definition, and a cloud of them against the float cloud.
void half_formats() {
    long wrong = 0;
    for (std::uint32_t bits = 0; bits < 65'536; ++bits) {
        const int exponent = static_cast<int>(bits >> 10U & 31U);
        const double fraction = bits & 1023U;
        const double sign = (bits & 0x8000U) != 0 ? -1.0 : 1.0;
        const float got = widen(Half{static_cast<std::uint16_t>(bits)});
        if (exponent == 31) {
            if (fraction != 0 ? !std::isnan(got) : static_cast<double>(got) != sign * inf) ++wrong;
        } else {
            const double value =
                exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024.0 + fraction, exponent - 25);
            if (static_cast<double>(got) != sign * value) ++wrong;
        }
        if (std::bit_cast<std::uint32_t>(widen(BrainFloat{static_cast<std::uint16_t>(bits)})) != bits << 16U) ++wrong;
    }
    CHECK_EQ(wrong, 0);
    for (const ScalarType scalar : {ScalarType::float16, ScalarType::bfloat16})
        for (const std::size_t d : {7UL, 1111UL}) {
            Lcg random(d);
            std::vector<std::uint16_t> bits(6 * d);
            std::vector<float> values(6 * d);
            for (std::size_t k = 0; k < bits.size(); ++k) {
                do {
                    bits[k] =
                        static_cast<std::uint16_t>(random.next() & 0xbfffU);  // exponents below 16 (bfloat16: below 1)
                    values[k] = scalar == ScalarType::float16 ? widen(Half{bits[k]}) : widen(BrainFloat{bits[k]});
                } while (!std::isfinite(values[k]));
            }
            PointCloud points = view(values, 6, d);
            points.data = bits.data();
            points.scalar = scalar;
            for (const Isa isa : available_isas())
                CHECK(same_bits(distances<float>(points, Metric::euclidean, isa),
                                distances<float>(view(values, 6, d), Metric::euclidean, isa)));
        }
    const std::vector<std::uint16_t> half_inf{0, 0, 0x7c00, 0};
    const PointCloud points{.data = half_inf.data(),
                            .scalar = ScalarType::float16,
                            .n = 2,
                            .d = 2,
                            .point_stride = 2,
                            .coordinate_stride = 1};
    CHECK_THROWS_SAYING(InvalidInput, "got inf at row 1, column 0", distances<float>(points));
}

void strides() {
    for (const std::size_t d : {10UL, 500UL, 2500UL}) {
        const std::size_t n = 13;
        Lcg random(d);
        const auto x = cloud_of<float>(n * d, [&] { return random.gaussian(); });
        const auto expected = distances<float>(view(x, n, d));
        std::vector<float> transposed(n * d);
        std::vector<float> spread(3 * n * d, std::numeric_limits<float>::quiet_NaN());
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t k = 0; k < d; ++k) transposed[k * n + i] = spread[3 * (i * d + k) + 1] = x[i * d + k];
        PointCloud points = view(transposed, n, d);
        points.point_stride = 1;
        points.coordinate_stride = static_cast<std::ptrdiff_t>(n);
        CHECK(same_bits(distances<float>(points), expected));
        points = view(spread, n, d);
        points.data = spread.data() + 1;
        points.point_stride = static_cast<std::ptrdiff_t>(3 * d);
        points.coordinate_stride = 3;
        CHECK(same_bits(distances<float>(points), expected));

        points = view(x, n, d);  // rows from the last to the first
        points.data = x.data() + (n - 1) * d;
        points.point_stride = -points.point_stride;
        auto reversed = distances<float>(points);
        std::reverse(reversed.begin(), reversed.end());
        CHECK(same_bits(reversed, expected));

        std::vector<float> backwards(x.rbegin(), x.rend());  // columns from the last to the first
        points = view(backwards, n, d);
        points.data = backwards.data() + n * d - 1;
        points.point_stride = -points.point_stride;
        points.coordinate_stride = -1;
        CHECK(same_bits(distances<float>(points), expected));

        points = view(x, n, d);  // one row, broadcast
        points.point_stride = 0;
        CHECK(distances<float>(points) == std::vector<float>(n * n, 0.0F));
    }
}

/// The same pair has the same bits whatever else is in the call.
void threads_and_subsets() {
    for (const auto& [n, d] : std::vector<std::pair<std::size_t, std::size_t>>{
             {300, 40}, {150, 700}, {33, 70'000}, {260, 20'000}, {9, 200'000}}) {
        Lcg random(n);
        const auto x = cloud_of<float>(n * d, [&] { return random.gaussian(); });
        const auto whole = distances<float>(view(x, n, d), Metric::euclidean, active_isa(), 1);
        for (const int threads : {2, 3, 7})
            CHECK(same_bits(distances<float>(view(x, n, d), Metric::euclidean, active_isa(), threads), whole));
        const std::size_t first = n / 3;
        const std::size_t count = n / 2;
        PointCloud part = view(x, count, d);
        part.data = x.data() + first * d;
        const auto some = distances<float>(part);
        bool same = true;
        for (std::size_t i = 0; i < count; ++i)
            for (std::size_t j = 0; j < count; ++j) same &= some[i * count + j] == whole[(first + i) * n + first + j];
        CHECK(same);
        bool symmetric = true;
        for (std::size_t i = 0; i < n; ++i) {
            symmetric &= std::bit_cast<std::uint32_t>(whole[i * n + i]) == 0;
            for (std::size_t j = 0; j < n; ++j) symmetric &= whole[i * n + j] == whole[j * n + i];
        }
        CHECK(symmetric);
    }
}

void all_threads_all_metrics() {
    const std::size_t n = 40;
    const std::size_t d = 50'000;
    Lcg random(8);
    const auto x = cloud_of<float>(n * d, [&] { return random.gaussian(); });
    for (const std::string_view metric : metric_names()) {
        const Metric m = metric_from_name(metric);
        const auto expected = distances<double>(view(x, n, d), m, Isa::baseline);
        for (const Isa isa : available_isas())
            for (const int threads : {1, 2, 5})
                CHECK(same_bits(distances<double>(view(x, n, d), m, isa, threads), expected));
    }
}

template <class Real>
void check_small_shapes() {
    const std::vector<float> x{1.0F, 2.0F, 4.0F, 6.0F};
    for (const std::string_view name : metric_names()) {
        const Metric metric = metric_from_name(name);
        CHECK_EQ(distances<Real>(view(x, 0, 4), metric).size(), 0U);
        CHECK(distances<Real>(view(x, 3, 0), metric) == std::vector<Real>(9, Real{0}));
        CHECK(distances<Real>(view(x, 1, 4), metric) == std::vector<Real>(1, Real{0}));
    }
    CHECK(distances<Real>(view(x, 2, 2)) == (std::vector<Real>{0, 5, 5, 0}));
    CHECK(distances<Real>(view(x, 2, 2), Metric::sqeuclidean) == (std::vector<Real>{0, 25, 25, 0}));
    CHECK(distances<Real>(view(x, 2, 2), Metric::cityblock) == (std::vector<Real>{0, 7, 7, 0}));
    CHECK(distances<Real>(view(x, 2, 2), Metric::chebyshev) == (std::vector<Real>{0, 4, 4, 0}));
}

/// Rows of the output may lie apart; what is between them stays.
void output_stride() {
    const std::vector<float> x{0.0F, 3.0F, 7.0F};
    std::vector<float> out(15, -1.0F);
    MemoryBudget budget;
    pairwise_distances(view(x, 3, 1), Metric::euclidean, out.data(), 5, Execution{.budget = budget});
    CHECK(out == (std::vector<float>{0, 3, 7, -1, -1, 3, 0, 4, -1, -1, 7, 4, 0, -1, -1}));
}

void bad_values() {
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    constexpr float infinite = std::numeric_limits<float>::infinity();
    for (const std::size_t d : {3UL, 64UL, 65UL, 5000UL, 40'000UL})
        for (const std::size_t n : {1UL, 2UL, 40UL})
            for (const float bad : {nan, infinite, -infinite})
                for (const Metric metric : {Metric::euclidean, Metric::chebyshev, Metric::cosine}) {
                    Lcg random(d);
                    auto x = cloud_of<float>(n * d, [&] { return random.gaussian(); });
                    x[n * d - 2] = bad;
                    const std::string text = std::string("got ") +
                                             (std::isnan(bad) ? "nan"
                                              : bad > 0       ? "inf"
                                                              : "-inf") +
                                             " at row " + std::to_string(n - 1) + ", column " + std::to_string(d - 2);
                    for (const int threads : {1, 4})
                        CHECK_THROWS_SAYING(InvalidInput, text,
                                            distances<float>(view(x, n, d), metric, active_isa(), threads));
                    CHECK_THROWS_SAYING(InvalidInput, text, distances<double>(view(x, n, d), metric));
                }
    std::vector<double> wide(400, 1.0);
    wide[7] = std::numeric_limits<double>::quiet_NaN();
    CHECK_THROWS_SAYING(InvalidInput, "x: expected finite coordinates, got nan at row 0, column 7",
                        distances<float>(view(wide, 2, 200)));
}

void overflow() {
    const std::vector<double> huge{1e300, -1e300};
    CHECK_THROWS_SAYING(InvalidInput, "dtype=\"float64\"", distances<float>(view(huge, 2, 1)));
    CHECK_EQ(distances<double>(view(huge, 2, 1))[1], 2e300);
    const std::vector<double> larger{1.7e308, -1.7e308};
    CHECK_THROWS_SAYING(InvalidInput, "rescale", distances<double>(view(larger, 2, 1)));
    CHECK_THROWS_SAYING(InvalidInput, "overflows float64", distances<double>(view(larger, 2, 1), Metric::cityblock));
    std::vector<float> wide(200, 3e38F);
    std::fill(wide.begin() + 100, wide.end(), -3e38F);
    CHECK_THROWS_SAYING(InvalidInput, "rows 0 and 1 overflows float32", distances<float>(view(wide, 2, 100)));
    CHECK(std::abs(distances<double>(view(wide, 2, 100))[1] / 6e39 - 1.0) < 1e-6);
    const std::vector<float> squares{0.0F, 1e20F};
    CHECK_EQ(distances<float>(view(squares, 2, 1))[1], 1e20F);
    CHECK_THROWS_SAYING(InvalidInput, "dtype=\"float64\"", distances<float>(view(squares, 2, 1), Metric::sqeuclidean));
}

void cosine_and_correlation() {
    for (const std::size_t d : {4UL, 64UL, 65UL, 3000UL}) {
        Lcg random(d);
        const auto x = cloud_of<double>(6 * d, [&] { return random.gaussian(); });
        for (const Metric metric : {Metric::cosine, Metric::correlation}) {
            const auto out = distances<double>(view(x, 6, d), metric);
            double worst = 0.0;
            for (std::size_t i = 0; i < 6; ++i)
                for (std::size_t j = 0; j < 6; ++j) {
                    long double mean_a = 0;
                    long double mean_b = 0;
                    for (std::size_t k = 0; k < d && metric == Metric::correlation; ++k) {
                        mean_a += x[i * d + k] / static_cast<long double>(d);
                        mean_b += x[j * d + k] / static_cast<long double>(d);
                    }
                    long double aa = 0;
                    long double bb = 0;
                    long double ab = 0;
                    for (std::size_t k = 0; k < d; ++k) {
                        const long double a = x[i * d + k] - mean_a;
                        const long double b = x[j * d + k] - mean_b;
                        aa += a * a;
                        bb += b * b;
                        ab += a * b;
                    }
                    const auto expected = static_cast<double>(1.0L - ab / std::sqrt(aa * bb));
                    worst = std::max(worst, std::abs(out[i * 6 + j] - (i == j ? 0.0 : expected)));
                }
            CHECK(worst < 2e-15 * static_cast<double>(d));
        }
        for (const double scale : {1e-320, 1e-200, 1e200, 1.7e308}) {  // directions do not depend on scale
            std::vector<double> scaled(2 * d, 0.0);
            scaled[0] = scaled[d + 1] = scale;
            CHECK_EQ(distances<double>(view(scaled, 2, d), Metric::cosine)[1], 1.0);
        }
    }
    const std::vector<float> zero_row{1.0F, 2.0F, 0.0F, 0.0F, 3.0F, 3.0F};
    CHECK_THROWS_SAYING(InvalidInput, "row 1 is zero", distances<float>(view(zero_row, 3, 2), Metric::cosine));
    CHECK_THROWS_SAYING(InvalidInput, "row 1 is constant", distances<float>(view(zero_row, 3, 2), Metric::correlation));
    const std::vector<float> parallel{1.0F, 2.0F, 3.0F, 2.0F, 4.0F, 6.0F};
    CHECK_EQ(distances<float>(view(parallel, 2, 3), Metric::cosine)[1], 0.0F);
}

void names() {
    CHECK_EQ(metric_names().size(), 6U);
    for (const std::string_view name : metric_names())
        CHECK(metric_from_name(name) == metric_from_name(std::string(name)));
    CHECK_THROWS_SAYING(InvalidInput, "euclidean, sqeuclidean, cityblock, chebyshev, cosine, correlation",
                        metric_from_name("Euclidean"));
}

/// What a call books is what was foretold, and all of it is given back.
void memory() {
    for (const auto& [n, d] : std::vector<std::pair<std::size_t, std::size_t>>{
             {1, 1}, {40, 64}, {500, 3}, {300, 64}, {40, 4096}, {200, 1000}, {40, 60'000}, {257, 40'000}})
        for (const std::string_view name : metric_names())
            for (const int threads : {1, 2, 4}) {
                const Metric metric = metric_from_name(name);
                if (d == 1 && metric == Metric::correlation) continue;
                Lcg random(n);
                const auto x = cloud_of<float>(n * d, [&] { return random.gaussian() + 0.5F; });
                if (n * d > 5'000'000 && metric != Metric::euclidean) continue;
                const std::size_t bound = pairwise_distances_bytes(view(x, n, d), metric, sizeof(float), threads);
                std::vector<float> out(n * n);
                MemoryBudget budget(bound);
                pairwise_distances(view(x, n, d), metric, out.data(), n,
                                   Execution{.budget = budget, .n_threads = threads});
                CHECK(budget.peak() <= bound);
                CHECK_EQ(budget.used(), 0U);
                MemoryBudget tight(bound / 2);
                CHECK_THROWS(BudgetExceeded, pairwise_distances(view(x, n, d), metric, out.data(), n,
                                                                Execution{.budget = tight, .n_threads = threads}));
                CHECK_EQ(tight.used(), 0U);
            }
}

void cancelling() {
    Lcg random(1);
    const auto x = cloud_of<float>(40UL * 60'000, [&] { return random.gaussian(); });
    std::vector<float> out(40UL * 40);
    MemoryBudget budget;
    int calls = 0;
    const auto stop = [&] {
        if (++calls == 5) throw Cancelled();
    };
    CHECK_THROWS(Cancelled, pairwise_distances(view(x, 40, 60'000), Metric::euclidean, out.data(), 40,
                                               Execution{.budget = budget, .checkpoint = stop}));
    CHECK_EQ(calls, 5);
    CHECK_EQ(budget.used(), 0U);
}

}  // namespace

int main() {
    accuracy();
    far_scales_in_double();
    scalar_types();
    half_formats();
    strides();
    threads_and_subsets();
    all_threads_all_metrics();
    check_small_shapes<float>();
    check_small_shapes<double>();
    output_stride();
    bad_values();
    overflow();
    cosine_and_correlation();
    names();
    memory();
    cancelling();
    return check::result();
}
