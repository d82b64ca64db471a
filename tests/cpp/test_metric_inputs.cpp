// What pairwise distances take, and what they refuse: scalar types, strides, NaN and infinities, overflow.

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

}  // namespace

int main() {
    scalar_types();
    half_formats();
    strides();
    bad_values();
    overflow();
    return check::result();
}
