// H1 from lunes that the device's kernels find, run on the host thread by thread: the bars of the CPU, to the edges.

#include <cmath>

#include "adabet/persistence/device_h1.hpp"
#include "adabet/persistence/h1.hpp"
#include "adabet/rips/relative_neighbourhood.hpp"
#include "check.hpp"
#include "clouds.hpp"
#include "emulated_lunes.hpp"

namespace {

using namespace adabet;
using emulated::EmulatedDevice;
using emulated::EmulatedLaunches;

template <class Real>
bool same(const Barcode<Real>& got, const Barcode<Real>& expected) {
    bool equal = got.intervals == expected.intervals && got.h0_deaths == expected.h0_deaths &&
                 got.components == expected.components && got.enclosing_radius == expected.enclosing_radius &&
                 got.birth_edges == expected.birth_edges && got.death_edges.size() == expected.death_edges.size();
    for (std::size_t i = 0; equal && i < got.death_edges.size(); ++i)
        if (got.intervals[i].death < got.enclosing_radius) equal = got.death_edges[i] == expected.death_edges[i];
    return equal;
}

template <class Real>
void compare(const std::string& kind, std::size_t n, std::uint64_t seed, bool in_global_memory = false) {
    const auto matrix = clouds::make<Real>(kind, n, seed);
    clouds::Random random(seed + 77);
    Real threshold = infinity<Real>;
    if (n > 1 && random.below(3) == 0) threshold = matrix.data[random.below(n) * n + random.below(n)];
    MemoryBudget budget;
    const Execution execution{budget};
    const auto expected = h1(matrix.view(), threshold, execution);
    EmulatedDevice device(std::size_t{1} << 28U, seed % 3 == 0 ? 20 : 1);
    device.backwards = seed % 2 == 1;
    EmulatedLaunches<Real> launches(device);
    launches.in_global_memory = in_global_memory;
    MemoryBudget device_budget;
    const Execution on_device{device_budget};
    {
        DeviceRips<Real> rips(device, launches, {matrix.data.data(), n, n}, on_device);
        const bool bars = same(h1_on_device(rips, threshold, execution), expected);
        const std::size_t count = count_bars_on_device(rips, threshold, Real{0}, execution);
        const std::size_t longer = count_bars_on_device(rips, threshold, Real{0.5}, execution);
        check::report(bars, __FILE__, __LINE__, kind + ", n = " + std::to_string(n) + ", seed " + std::to_string(seed));
        check::report(count == expected.intervals.size(), __FILE__, __LINE__,
                      "count: " + kind + ", n = " + std::to_string(n) + ", seed " + std::to_string(seed));
        CHECK_EQ(longer, count_bars(matrix.view(), threshold, Real{0.5}, execution));
    }
    CHECK_EQ(device.allocations(), 0);
    CHECK_EQ(device_budget.used(), 0);
    CHECK_EQ(budget.used(), 0);
}

void a_device_that_fails() {
    const auto matrix = clouds::make<float>("points", 60, 5);
    MemoryBudget budget;
    const Execution execution{budget};
    const auto expected = h1(matrix.view(), infinity<float>, execution);
    long steps = 0;
    for (bool failed = true; failed; ++steps) {
        EmulatedDevice device;
        device.fail_after = steps;
        EmulatedLaunches<float> launches(device);
        failed = false;
        try {
            DeviceRips<float> rips(device, launches, {matrix.data.data(), 60, 60}, execution);
            CHECK(same(h1_on_device(rips, infinity<float>, execution), expected));
        } catch (const Unavailable&) {
            failed = true;
        }
        CHECK_EQ(device.allocations(), 0);
        CHECK_EQ(budget.used(), 0);
    }
    CHECK(steps > 10);
    EmulatedDevice small(100'000);
    EmulatedLaunches<float> launches(small);
    DeviceRips<float> rips(small, launches, {matrix.data.data(), 60, 60}, execution);
    CHECK_THROWS(DeviceOutOfMemory, h1_on_device(rips, infinity<float>, execution));
    CHECK(same(h1(matrix.view(), infinity<float>, execution), expected));
}

}  // namespace

int main() {
    for (const std::string& kind : clouds::kinds()) {
        for (std::uint64_t seed = 0; seed < 6; ++seed) {
            compare<float>(kind, 2 + 3 * seed, seed);
            compare<double>(kind, 3 + 2 * seed, seed + 1000);
        }
        compare<float>(kind, 70, 11);
        compare<float>(kind, 45, 12, true);
    }
    compare<float>("points", 300, 3);
    compare<double>("random", 140, 4, true);
    for (const std::size_t n : {0UL, 1UL, 2UL}) compare<float>("random", n, 1);
    a_device_that_fails();
    return check::result();
}
