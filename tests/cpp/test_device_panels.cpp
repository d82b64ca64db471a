// Distances by panels, by strips and pair by pair, of a device that holds no matrix of them: the bits are the CPU's.

#include <cstdint>
#include <limits>
#include <numeric>
#include <string>

#include "adabet/metric/device_panels.hpp"
#include "adabet/metric/device_tiles.hpp"
#include "adabet/metric/pairwise_device.hpp"
#include "adabet/persistence/h1.hpp"
#include "adabet/persistence/held_distances.hpp"
#include "check.hpp"
#include "emulated_device.hpp"
#include "metric_support.hpp"

namespace {

using namespace metric_test;
using emulated::EmulatedDevice;

constexpr Metric all_metrics[] = {Metric::euclidean, Metric::sqeuclidean, Metric::cityblock,
                                  Metric::chebyshev, Metric::cosine,      Metric::correlation};

/// A device whose memory comes in pieces, as it does beside another library's cache: it says what is free, and gives less.
class ShortDevice : public EmulatedDevice {
public:
    ShortDevice(std::size_t memory, std::size_t largest_piece) : EmulatedDevice(memory), largest_(largest_piece) {}
    void* allocate(std::size_t bytes) override {
        if (bytes > largest_) {
            ++refused;
            throw DeviceOutOfMemory("the emulated device", bytes, largest_);
        }
        return EmulatedDevice::allocate(bytes);
    }
    int refused = 0;

private:
    std::size_t largest_;
};

template <class Real>
bool same_matrix(const std::string& what, const std::vector<Real>& got, const std::vector<Real>& expected,
                 std::size_t n) {
    std::size_t wrong = 0;
    while (wrong < got.size() && std::memcmp(&got[wrong], &expected[wrong], sizeof(Real)) == 0) ++wrong;
    return check::report(wrong == got.size(), __FILE__, __LINE__,
                         what + ", n = " + std::to_string(n) + ": first at " + std::to_string(wrong / n) + ", " +
                             std::to_string(wrong % n)),
           wrong == got.size();
}

/// The whole matrix and some rectangles of it, within so many bytes of the device.
template <class Real>
PanelLayout compare(const std::string& what, const PointCloud& points, Metric metric, std::size_t budget_bytes) {
    const auto expected = distances<Real>(points, metric);
    EmulatedDevice device;
    MemoryBudget budget(budget_bytes);
    PanelLayout layout;
    {
        const Execution execution{.budget = budget};
        DevicePanels<Real> panels(device, points, metric, {}, execution);
        layout = panels.layout();
        const std::size_t n = points.n;
        std::vector<Real> out(n * n, Real{-7});
        panels.read({0, n}, {0, n}, out.data(), n);
        same_matrix(what, out, expected, n);
        for (const PointRange rows : {PointRange{0, 1}, PointRange{n / 3, n / 2 + 1}, PointRange{n - 1, n}})
            for (const PointRange columns : {PointRange{0, n}, PointRange{n / 2, n}, PointRange{n - 1, n}}) {
                if (rows.begin >= rows.end || columns.begin >= columns.end) continue;
                const std::size_t stride = columns.size() + 3;
                std::vector<Real> some(rows.size() * stride, Real{-7});
                panels.read(rows, columns, some.data(), stride);
                std::size_t wrong = 0;
                for (std::size_t i = rows.begin; i < rows.end; ++i)
                    for (std::size_t j = 0; j < stride; ++j) {
                        const Real want = j < columns.size() ? expected[i * n + columns.begin + j] : Real{-7};
                        wrong += std::memcmp(&some[(i - rows.begin) * stride + j], &want, sizeof want) != 0;
                    }
                CHECK_EQ(wrong, 0);
            }
        std::vector<Edge> pairs;
        for (std::size_t k = 0; k < 90; ++k)
            pairs.push_back({static_cast<Vertex>(k * 7 % n), static_cast<Vertex>(k * 11 % n)});
        std::vector<Real> lengths(pairs.size());
        panels.read(pairs, lengths.data());
        std::size_t wrong = 0;
        for (std::size_t k = 0; k < pairs.size(); ++k) {
            const Real want = expected[static_cast<std::size_t>(pairs[k].a) * n + static_cast<std::size_t>(pairs[k].b)];
            wrong += std::memcmp(&lengths[k], &want, sizeof want) != 0;
        }
        check::report(wrong == 0, __FILE__, __LINE__, what + ": " + std::to_string(wrong) + " pairs differ");
    }
    CHECK(budget.peak() <= budget_bytes);
    CHECK_EQ(budget.used(), 0);
    CHECK_EQ(device.allocations(), 0);
    return layout;
}

void panels_of_several_shapes() {
    Lcg random(1);
    const auto x = cloud_of<float>(200 * 300, [&] { return random.gaussian(); });
    CHECK(compare<float>("all rows", view(x, 200, 300), Metric::euclidean, 1U << 30U).rows >= 200);
    const PanelLayout strips = compare<float>("strips", view(x, 200, 300), Metric::euclidean, 420'000);
    CHECK(strips.is_packed_once && strips.rows == 64);  // 200 = 3 * 64 + 8
    CHECK(compare<float>("one row left", view(x, 193, 300), Metric::euclidean, 420'000).rows == 64);
    const PanelLayout squares = compare<float>("squares", view(x, 200, 300), Metric::euclidean, 200'000);
    CHECK(!squares.is_packed_once && squares.rows == 64 && squares.columns == 64);
    for (const std::size_t n : {1UL, 2UL, 3UL, 64UL, 65UL}) {
        compare<float>("few rows", view(x, n, 300), Metric::euclidean, 1U << 20U);
        compare<double>("few rows", view(x, n, 7), Metric::euclidean, 1U << 20U);
    }
    compare<float>("no coordinates", view(x, 5, 0), Metric::euclidean, 1U << 20U);
    const auto wide = cloud_of<float>(70 * 9000, [&] { return random.gaussian(); });
    compare<float>("groups of columns", view(wide, 70, 9000), Metric::euclidean, 6'000'000);
    compare<float>("groups of columns, large", view(wide, 70, 9000), Metric::sqeuclidean, 1U << 28U);
}

void all_metrics_and_types() {
    for (const std::size_t d : {1UL, 33UL, 64UL, 65UL, 1100UL})
        for (const Metric metric : all_metrics) {
            if (d == 1 && metric == Metric::correlation) continue;
            const std::size_t n = 70;
            Lcg random(d);
            const auto x = cloud_of<double>(n * d, [&] { return static_cast<double>(random.gaussian()); });
            for (const std::size_t tight : {0, 1}) {
                const std::size_t least = least_panel_bytes(view(x, n, d), metric, sizeof(double), 0);
                compare<double>("double", view(x, n, d), metric, tight != 0 ? least : 1U << 28U);
            }
            compare<float>("to float", view(x, n, d), metric, 1U << 28U);
        }
    Lcg random(3);
    const auto bits = cloud_of<std::uint16_t>(
        80 * 130, [&] { return static_cast<std::uint16_t>((random.next() & 0x87ffU) | 0x3800U); });
    for (const ScalarType half : {ScalarType::float16, ScalarType::bfloat16}) {
        PointCloud points = view(bits, 80, 130);
        points.scalar = half;
        compare<float>("half", points, Metric::euclidean, least_panel_bytes(points, Metric::euclidean, 4, 0));
        compare<double>("half", points, Metric::cosine, 1U << 28U);
    }
}

/// Squares beyond fp32 and fp64, duplicates: what tiles leave for a second look.
void scales() {
    for (const float scale : {1e-22F, 1e-38F, 1e17F, 0.0F}) {
        Lcg random(7);
        auto x = cloud_of<float>(70 * 140, [&] { return scale * random.gaussian(); });
        for (std::size_t k = 0; k < 3 * 140; ++k) x[k + 4 * 140] = x[k];
        const PointCloud points = view(x, 70, 140);
        compare<float>("scaled", points, Metric::euclidean, least_panel_bytes(points, Metric::euclidean, 4, 0));
        compare<float>("scaled", points, Metric::euclidean, 1U << 28U);
    }
    for (const double scale : {1e-200, 1e-300, 1e160, 0.0})
        for (const std::size_t d : {3UL, 100UL}) {
            Lcg random(d);
            auto x = cloud_of<double>(40 * d, [&] { return scale * static_cast<double>(random.gaussian()); });
            for (std::size_t k = 0; k < 2 * d; ++k) x[k + 5 * d] = x[k];
            const PointCloud points = view(x, 40, d);
            compare<double>("scaled", points, Metric::euclidean, least_panel_bytes(points, Metric::euclidean, 8, 0));
            compare<double>("scaled", points, Metric::euclidean, 1U << 28U);
        }
}

void bad_input() {
    Lcg random(2);
    for (const std::size_t d : {10UL, 400UL}) {
        const std::size_t n = 90;
        const auto good = cloud_of<float>(n * d, [&] { return random.gaussian(); });
        const auto refused = [&](const std::vector<float>& x, Metric metric) {
            const PointCloud points = view(x, n, d);
            EmulatedDevice device;
            MemoryBudget budget(least_panel_bytes(points, metric, 4, 0));
            std::vector<float> out(n * n);
            try {
                DevicePanels<float>(device, points, metric, {}, Execution{.budget = budget})
                    .read({0, n}, {0, n}, out.data(), n);
            } catch (const InvalidInput& error) {
                CHECK_EQ(device.allocations(), 0);
                return std::string(error.what());
            }
            return std::string("accepted");
        };
        const auto by_cpu = [&](const std::vector<float>& x, Metric metric) {
            try {
                static_cast<void>(distances<float>(view(x, n, d), metric));
            } catch (const InvalidInput& error) {
                return std::string(error.what());
            }
            return std::string("accepted");
        };
        auto x = good;
        x[85 * d + 5] = std::numeric_limits<float>::infinity();
        x[88 * d + 1] = std::numeric_limits<float>::quiet_NaN();
        for (const Metric metric : all_metrics) CHECK_EQ(refused(x, metric), by_cpu(x, metric));
        x = good;
        for (std::size_t k = 0; k < d; ++k) x[70 * d + k] = 0.0F;
        for (const Metric metric : {Metric::cosine, Metric::correlation})
            CHECK_EQ(refused(x, metric), by_cpu(x, metric));
        x = good;
        for (std::size_t k = 0; k < d; ++k) {
            x[66 * d + k] = 3e38F;
            x[71 * d + k] = -3e38F;
        }
        CHECK(refused(x, Metric::euclidean).find("overflows float32") != std::string::npos);
    }
}

/// Less memory than was said to be free: smaller rectangles, then an error that names both figures.
void memory_in_pieces() {
    Lcg random(31);
    const std::size_t n = 300;
    const auto x = cloud_of<float>(n * 300, [&] { return random.gaussian(); });
    const PointCloud points = view(x, n, 300);
    const auto expected = distances<float>(points);
    for (const std::size_t largest : {250'000UL, 120'000UL, 90'000UL}) {
        ShortDevice device(10'000'000, largest);
        MemoryBudget budget;
        const Execution execution{.budget = budget};
        DevicePanels<float> panels(device, points, Metric::euclidean, {}, execution);
        CHECK(device.refused > 0);
        std::vector<float> out(n * n);
        panels.read({0, n}, {0, n}, out.data(), n);
        same_matrix("pieces", out, expected, n);
    }
    ShortDevice device(10'000'000, 50'000);
    MemoryBudget budget;
    CHECK_THROWS_SAYING(DeviceOutOfMemory, "has 50000 bytes of memory free, but",
                        DevicePanels<float>(device, points, Metric::euclidean, {}, Execution{.budget = budget}));
    CHECK_EQ(device.allocations(), 0);
    CHECK_EQ(budget.used(), 0);
    MemoryBudget tiny(100'000);
    EmulatedDevice whole;
    CHECK_THROWS(BudgetExceeded, DevicePanels<float>(whole, points, Metric::euclidean, {}, Execution{.budget = tiny}));
    CHECK_EQ(whole.allocations(), 0);
}

/// Whatever step fails, in the middle of a read or before it: an exception, and everything given back.
void a_device_that_fails() {
    Lcg random(4);
    const auto x = cloud_of<float>(150 * 100, [&] { return random.gaussian(); });
    const PointCloud points = view(x, 150, 100);
    long steps = 0;
    for (bool failed = true; failed; ++steps) {
        EmulatedDevice device;
        device.fail_after = steps;
        MemoryBudget budget(100'000);
        std::vector<float> out(150 * 150);
        failed = false;
        try {
            DevicePanels<float>(device, points, Metric::euclidean, {}, Execution{.budget = budget})
                .read({0, 150}, {0, 150}, out.data(), 150);
        } catch (const Unavailable& error) {
            failed = std::string(error.what()).find("emulated device failed") != std::string::npos;
        }
        CHECK_EQ(device.allocations(), 0);
        CHECK_EQ(budget.used(), 0);
        if (!failed) same_matrix("after failures", out, distances<float>(points), 150);
    }
    CHECK(steps > 20);
}

/// Strips, transposed reads, kept rows and an order, as the engine asks for them.
template <class Real>
void tiles_in_an_order(std::size_t d) {
    Lcg random(d);
    const std::size_t n = 600;
    const auto x = cloud_of<float>(n * d, [&] { return random.gaussian(); });
    const PointCloud points = view(x, n, d);
    const auto expected = distances<Real>(points);
    std::vector<Vertex> order(n);
    for (std::size_t i = 0; i < n; ++i) order[i] = static_cast<Vertex>(i * 7 % n);
    EmulatedDevice device;
    MemoryBudget on_device;
    MemoryBudget host(64U << 20U);
    const DeviceTiles<Real> tiles(device, points, Metric::euclidean, order, on_device, host, 2);
    CHECK_EQ(DeviceTiles<Real>::strips_for(n, 2, host.limit()).count, 3);
    CHECK_EQ(DeviceTiles<Real>::strips_for(n, 2, 1U << 20U).count, 0);
    const auto reader = tiles.reader(host);
    const auto of = [&](std::size_t i, std::size_t j) {
        return expected[static_cast<std::size_t>(order[i]) * n + static_cast<std::size_t>(order[j])];
    };
    const PointRange ranges[] = {{0, 16}, {570, 600}, {60, 70}, {0, 300}, {250, 550}, {0, 600}, {599, 600}};
    std::size_t wrong = 0;
    for (const PointRange rows : ranges)
        for (const PointRange columns : ranges) {
            std::vector<Real> out(rows.size() * columns.size());
            reader->read(rows, columns, out.data(), columns.size());
            for (std::size_t i = rows.begin; i < rows.end; ++i)
                for (std::size_t j = columns.begin; j < columns.end; ++j)
                    wrong += out[(i - rows.begin) * columns.size() + (j - columns.begin)] != of(i, j);
        }
    for (std::size_t k = 0; k < 200; ++k) {
        const std::size_t i = k % 20;
        const std::size_t j = k * 37 % n;
        wrong += reader->at(k % 2 == 0 ? i : j, k % 2 == 0 ? j : i) != of(i, j);
    }
    CHECK_EQ(wrong, 0);
}

/// H1 of points in the memory of a device without room for their matrix.
template <class Real>
void bars(std::size_t d, Real threshold) {
    const std::size_t n = 520;
    Lcg random(d);
    auto x = cloud_of<float>(n * d, [&] { return random.gaussian(); });
    for (std::size_t k = 0; k < 9 * d; ++k) x[k + 20 * d] = x[k];                                        // duplicates
    for (std::size_t k = 0; k < 25 * d; ++k) x[k] = static_cast<float>(static_cast<int>(x[k] * 4)) / 4;  // ties
    const PointCloud points = view(x, n, d);
    const auto all = distances<Real>(points);
    const DistanceMatrix<Real> matrix{all.data(), n, n};
    MemoryBudget budget;
    const auto expected = h1(matrix, threshold, Execution{.budget = budget});
    const std::size_t count = betti1(matrix, threshold, Execution{.budget = budget});
    for (const DevicePlanKind kind : {DevicePlanKind::on_host, DevicePlanKind::streamed}) {
        EmulatedDevice device;
        MemoryBudget on_device(300'000);
        {
            const Execution execution{.budget = budget, .n_threads = 2};
            const HeldDistances<Real> held(device, points, Metric::euclidean, kind, Execution{.budget = on_device},
                                           execution);
            CHECK_EQ(held.distances().is_resident(), kind == DevicePlanKind::on_host);
            const auto got = h1(held.distances(), threshold, execution, {.order = held.order()});
            CHECK(got.intervals == expected.intervals);
            CHECK(got.h0_deaths == expected.h0_deaths);
            if (held.order().empty()) CHECK(got.birth_edges == expected.birth_edges);
            CHECK_EQ(betti1(held.distances(), threshold, execution), count);
        }
        CHECK(on_device.peak() <= 300'000);
        CHECK_EQ(device.allocations(), 0);
    }
    CHECK_EQ(budget.used(), 0);
}

}  // namespace

int main() {
    panels_of_several_shapes();
    all_metrics_and_types();
    scales();
    bad_input();
    memory_in_pieces();
    a_device_that_fails();
    tiles_in_an_order<float>(3);
    tiles_in_an_order<double>(70);
    bars<float>(3, infinity<float>);
    bars<float>(70, 10.5F);
    bars<double>(3, 0.5);
    return check::result();
}
