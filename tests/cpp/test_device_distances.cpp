// The kernels' own code, run on the host thread by thread: its distances have the CPU's bits, for every regime.

#include <cmath>
#include <limits>
#include <string>

#include "adabet/metric/pairwise_device.hpp"
#include "check.hpp"
#include "emulated_device.hpp"
#include "metric_support.hpp"

namespace {

using namespace metric_test;
using emulated::EmulatedDevice;

template <class Real>
std::vector<Real> on_device(EmulatedDevice& device, const PointCloud& points, Metric metric) {
    MemoryBudget budget;
    std::vector<Real> out(points.n * points.n, Real{-7});
    pairwise_distances(device, points, metric, out.data(), points.n, Execution{.budget = budget});
    CHECK_EQ(budget.used(), 0);
    CHECK_EQ(device.allocations(), 0);
    return out;
}

template <class Real>
void compare(const std::string& what, const PointCloud& points, Metric metric, std::size_t memory = 1U << 30U,
             unsigned processors = 4) {
    const auto expected = distances<Real>(points, metric);
    for (const bool backwards : {false, true}) {
        EmulatedDevice device(memory, processors);
        device.backwards = backwards;
        const auto got = on_device<Real>(device, points, metric);
        std::size_t wrong = 0;
        while (wrong < got.size() && std::memcmp(&got[wrong], &expected[wrong], sizeof(Real)) == 0) ++wrong;
        check::report(wrong == got.size(), __FILE__, __LINE__,
                      what + ", n = " + std::to_string(points.n) + ", d = " + std::to_string(points.d) + ", metric " +
                          std::to_string(static_cast<int>(metric)) + (sizeof(Real) == 4 ? ", float" : ", double") +
                          (backwards ? ", backwards" : "") + ": first at " +
                          std::to_string(points.n == 0 ? 0 : wrong / points.n) + ", " +
                          std::to_string(points.n == 0 ? 0 : wrong % points.n));
    }
}

void few_rows() {
    for (const std::size_t n : {1UL, 2UL, 3UL, 8UL, 9UL, 17UL, 40UL, 64UL})
        for (const std::size_t d : {65UL, 100UL, 1024UL, 1500UL, 9000UL}) {
            if (n * d > 70'000 && d != 1500) continue;
            Lcg random(n + d);
            const auto x = cloud_of<float>(n * d, [&] { return random.gaussian(); });
            compare<float>("few rows", view(x, n, d), Metric::euclidean);
        }
}

void tiles() {
    for (const std::size_t n : {65UL, 70UL, 130UL})
        for (const std::size_t d : {65UL, 96UL, 200UL, 512UL, 1030UL}) {
            if (n == 130 && d > 200) continue;
            Lcg random(n + d);
            const auto x = cloud_of<float>(n * d, [&] { return random.gaussian(); });
            for (const unsigned processors : {1U, 100U})
                compare<float>("tiles", view(x, n, d), Metric::euclidean, 1U << 30U, processors);
        }
    Lcg random(5);
    const auto wide = cloud_of<float>(66 * 9000, [&] { return random.gaussian(); });
    compare<float>("groups", view(wide, 66, 9000), Metric::sqeuclidean, 1U << 30U, 1);
    compare<float>("chunks", view(wide, 66, 9000), Metric::sqeuclidean, 1U << 30U, 100);
}

void all_metrics() {
    for (const std::size_t d : {1UL, 3UL, 33UL, 64UL, 65UL, 1100UL})
        for (const Metric metric : {Metric::euclidean, Metric::sqeuclidean, Metric::cityblock, Metric::chebyshev,
                                    Metric::cosine, Metric::correlation}) {
            const std::size_t n = 35;
            if (d == 1 && metric == Metric::correlation) continue;
            Lcg random(d);
            const auto x = cloud_of<double>(n * d, [&] {
                return static_cast<double>(random.gaussian()) + static_cast<double>(random.coordinate());
            });
            compare<float>("double points", view(x, n, d), metric);
            compare<double>("double points", view(x, n, d), metric);
        }
}

template <class T>
void one_scalar_type() {
    Lcg random(17);
    for (const std::size_t d : {5UL, 150UL}) {
        const auto x =
            cloud_of<T>(30 * d, [&] { return static_cast<T>(std::is_same_v<T, float> ? 3 : random.next() % 100U); });
        compare<float>("scalar type", view(x, 30, d), Metric::euclidean);
        compare<double>("scalar type", view(x, 30, d), Metric::cityblock);
    }
}

void scalar_types() {
    one_scalar_type<std::int8_t>();
    one_scalar_type<std::int16_t>();
    one_scalar_type<std::int32_t>();
    one_scalar_type<std::int64_t>();
    one_scalar_type<std::uint8_t>();
    one_scalar_type<std::uint16_t>();
    one_scalar_type<std::uint32_t>();
    one_scalar_type<std::uint64_t>();
    Lcg random(3);
    const auto bits = cloud_of<std::uint16_t>(
        80 * 130, [&] { return static_cast<std::uint16_t>((random.next() & 0x87ffU) | 0x3800U); });
    for (const ScalarType half : {ScalarType::float16, ScalarType::bfloat16})
        for (const std::size_t n : {30UL, 80UL}) {
            PointCloud points = view(bits, n, 130);
            points.scalar = half;
            compare<float>("half", points, Metric::euclidean);
            compare<double>("half", points, Metric::cosine);
        }
}

/// Squares beyond fp32, and for fp64 beyond fp64; duplicates; zeros.
void scales() {
    for (const std::size_t n : {12UL, 70UL})
        for (const float scale : {1e-22F, 1e-38F, 1e-12F, 1e17F, 0.0F, 1.0F}) {
            Lcg random(n);
            const std::size_t d = 140;
            auto x = cloud_of<float>(n * d, [&] { return scale * random.gaussian(); });
            for (std::size_t k = 0; k < 3 * d; ++k) x[k + 4 * d] = x[k];  // rows 4, 5, 6 again
            compare<float>("scaled", view(x, n, d), Metric::euclidean);
            auto sparse = x;
            for (float& value : sparse)
                if (random.next() % 50U != 0) value = 0.0F;
            compare<float>("sparse", view(sparse, n, d), Metric::euclidean);
        }
    for (const double scale : {1e-200, 1e-300, 1e160, 1e-155, 0.0})
        for (const std::size_t d : {3UL, 100UL}) {
            Lcg random(d);
            auto x = cloud_of<double>(20 * d, [&] { return scale * static_cast<double>(random.gaussian()); });
            for (std::size_t k = 0; k < 2 * d; ++k) x[k + 5 * d] = x[k];
            compare<double>("scaled", view(x, 20, d), Metric::euclidean);
            if (scale != 0.0) {
                compare<double>("scaled", view(x, 20, d), Metric::cosine);
                compare<double>("scaled", view(x, 20, d), Metric::correlation);
            }
        }
}

void strides_and_sizes() {
    Lcg random(9);
    const auto x = cloud_of<float>(100 * 200, [&] { return random.gaussian(); });
    PointCloud points = view(x, 40, 70);
    points.point_stride = -200;
    points.coordinate_stride = 2;
    points.data = x.data() + 50 * 200 + 3;
    compare<float>("strides", points, Metric::euclidean);
    compare<double>("strides", points, Metric::correlation);
    points.n = 90;
    points.point_stride = 1;
    points.coordinate_stride = 200;
    points.data = x.data();
    compare<float>("transposed", points, Metric::euclidean);
    points.point_stride = 0;
    compare<float>("one row for all", points, Metric::euclidean);
    for (const std::size_t n : {0UL, 1UL, 2UL})
        for (const std::size_t d : {0UL, 1UL, 65UL})
            compare<float>("empty and small", view(x, n, d), Metric::euclidean);

    EmulatedDevice device;  // rows of the output further apart than n
    MemoryBudget budget;
    std::vector<float> out(70 * 75, -7.0F);
    pairwise_distances(device, view(x, 70, 100), Metric::euclidean, out.data(), 75, Execution{.budget = budget});
    const auto expected = distances<float>(view(x, 70, 100));
    for (std::size_t i = 0; i < 70; ++i)
        for (std::size_t j = 0; j < 75; ++j) CHECK_EQ(out[i * 75 + j], j < 70 ? expected[i * 70 + j] : -7.0F);
}

/// Less memory than packing takes: bands of rows, and fewer tiles at a time.
void short_of_memory() {
    Lcg random(31);
    const std::size_t n = 200;
    const auto x = cloud_of<float>(n * 300, [&] { return random.gaussian(); });
    for (const std::size_t memory : {1'000'000UL, 270'000UL, 200'000UL})
        compare<float>("bands", view(x, n, 300), Metric::euclidean, memory);
    compare<double>("bands", view(x, n, 60), Metric::chebyshev, 40'000);
    const auto wide = cloud_of<float>(70 * 9000, [&] { return random.gaussian(); });
    compare<float>("few partial sums", view(wide, 70, 9000), Metric::euclidean, 5'300'000);

    EmulatedDevice tiny(50'000);
    CHECK_THROWS_SAYING(DeviceOutOfMemory, "free", on_device<float>(tiny, view(x, n, 300), Metric::euclidean));
    EmulatedDevice device;
    MemoryBudget budget(150'000);
    std::vector<float> out(n * n);
    CHECK_THROWS(BudgetExceeded, pairwise_distances(device, view(x, n, 300), Metric::euclidean, out.data(), n,
                                                    Execution{.budget = budget}));
    CHECK_EQ(device.allocations(), 0);
    MemoryBudget enough(200'000);
    pairwise_distances(device, view(x, n, 300), Metric::euclidean, out.data(), n, Execution{.budget = enough});
    CHECK(same_bits(out, distances<float>(view(x, n, 300))));
    CHECK(enough.peak() <= 200'000);
}

void bad_input() {
    Lcg random(2);
    for (const std::size_t n : {40UL, 90UL}) {
        for (const std::size_t d : {10UL, 400UL}) {
            auto x = cloud_of<float>(n * d, [&] { return random.gaussian(); });
            EmulatedDevice device;
            x[7 * d + 5] = std::numeric_limits<float>::infinity();
            x[9 * d + 1] = std::numeric_limits<float>::quiet_NaN();
            for (const Metric metric : {Metric::euclidean, Metric::cosine, Metric::cityblock})
                CHECK_THROWS_SAYING(InvalidInput, "got inf at row 7, column 5",
                                    on_device<float>(device, view(x, n, d), metric));
            x[6 * d] = -std::numeric_limits<float>::infinity();
            CHECK_THROWS_SAYING(InvalidInput, "got -inf at row 6, column 0",
                                on_device<float>(device, view(x, n, d), Metric::euclidean));
            x[d] = std::numeric_limits<float>::quiet_NaN();
            CHECK_THROWS_SAYING(InvalidInput, "got nan at row 1, column 0",
                                on_device<double>(device, view(x, n, d), Metric::euclidean));
            auto large = cloud_of<float>(n * d, [&] { return 1e38F * random.gaussian(); });
            CHECK_THROWS_SAYING(InvalidInput, "overflows float32",
                                on_device<float>(device, view(large, n, d), Metric::euclidean));
            auto flat = cloud_of<float>(n * d, [&] { return random.gaussian(); });
            for (std::size_t k = 0; k < d; ++k) flat[3 * d + k] = 2.0F;
            CHECK_THROWS_SAYING(InvalidInput, "row 3 is constant",
                                on_device<float>(device, view(flat, n, d), Metric::correlation));
            for (std::size_t k = 0; k < d; ++k) flat[2 * d + k] = 0.0F;
            CHECK_THROWS_SAYING(InvalidInput, "row 2 is zero",
                                on_device<double>(device, view(flat, n, d), Metric::cosine));
            CHECK_EQ(device.allocations(), 0);
        }
    }
}

/// Whatever step fails: an exception, nothing left behind, and the next call is right.
void a_device_that_fails() {
    Lcg random(4);
    const auto x = cloud_of<float>(70 * 100, [&] { return random.gaussian(); });
    const auto expected = distances<float>(view(x, 70, 100));
    long steps = 0;
    for (bool failed = true; failed; ++steps) {
        EmulatedDevice device;
        device.fail_after = steps;
        MemoryBudget budget;
        std::vector<float> out(70 * 70);
        failed = false;
        try {
            pairwise_distances(device, view(x, 70, 100), Metric::euclidean, out.data(), 70,
                               Execution{.budget = budget});
        } catch (const Unavailable& error) {
            failed = std::string(error.what()).find("emulated device failed") != std::string::npos;
        }
        CHECK_EQ(device.allocations(), 0);
        CHECK_EQ(budget.used(), 0);
        device.fail_after = -1;
        CHECK(same_bits(on_device<float>(device, view(x, 70, 100), Metric::euclidean), expected));
        CHECK(same_bits(distances<float>(view(x, 70, 100)), expected));
    }
    CHECK(steps > 8);
}

}  // namespace

int main() {
    few_rows();
    tiles();
    all_metrics();
    scalar_types();
    scales();
    strides_and_sizes();
    short_of_memory();
    bad_input();
    a_device_that_fails();
    return check::result();
}
