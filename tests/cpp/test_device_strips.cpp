// Strips of a device's distances on the host: how many there are, and who gets them where there are fewer than threads.

#include <cstdint>
#include <memory>
#include <vector>

#include "adabet/metric/device_tiles.hpp"
#include "check.hpp"
#include "emulated_device.hpp"
#include "metric_support.hpp"

namespace {

using namespace metric_test;
using emulated::EmulatedDevice;

/// A device that counts what is fetched from it.
class CountingDevice : public EmulatedDevice {
public:
    void to_host_rows(void* host, std::size_t host_stride, const void* from, std::size_t from_stride,
                      std::size_t row_bytes, std::size_t rows) override {
        ++fetched;
        EmulatedDevice::to_host_rows(host, host_stride, from, from_stride, row_bytes, rows);
    }
    std::size_t fetched = 0;
};

/// More threads than the host has room for strips: as many as it has, and never more than its share of the budget.
void fewer_strips_than_threads() {
    const std::size_t n = 16'384;
    const std::size_t limit = std::size_t{512} << 20U;
    for (const int threads : {1, 6, 7, 8, 16, 1024}) {
        const auto strips = DeviceTiles<float>::strips_for(n, threads, limit);
        CHECK(strips.count >= 2);
        CHECK(strips.count <= static_cast<std::size_t>(threads) + 1);
        CHECK(strips.rows >= 64 && strips.rows % 64 == 0);
        CHECK(strips.count * strips.rows * n * sizeof(float) <= limit / 16);
    }
    CHECK_EQ(DeviceTiles<float>::strips_for(n, 16, limit).count, 8);
}

/// Readers in turn, more of them than strips: those that have one keep it, the others read without, and all read the same.
void strips_are_not_passed_round(int n_readers) {
    Lcg random(5);
    const std::size_t n = 900;
    const std::size_t d = 3;
    const auto x = cloud_of<float>(n * d, [&] { return random.gaussian(); });
    const PointCloud points = view(x, n, d);
    const auto expected = distances<float>(points);
    CountingDevice device;
    MemoryBudget on_device;
    MemoryBudget host(3 * 64 * n * sizeof(float) * 16);
    CHECK_EQ(DeviceTiles<float>::strips_for(n, n_readers, host.limit()).count, 3);
    const DeviceTiles<float> tiles(device, points, Metric::euclidean, {}, on_device, host, n_readers);
    std::vector<std::unique_ptr<TileReader<float>>> readers;
    for (int k = 0; k < n_readers; ++k) readers.push_back(tiles.reader(host));
    device.fetched = 0;
    std::size_t wrong = 0;
    std::size_t reads = 0;
    std::vector<float> out(16 * 160);
    for (const std::size_t half : {0U, 1U})  // each reader goes along its own rows, then along others
        for (std::size_t column = 0; column + 160 <= n; column += 160)
            for (std::size_t k = 0; k < readers.size(); ++k, ++reads) {
                const PointRange rows{64 * (k + 6 * half), 64 * (k + 6 * half) + 16};
                readers[k]->read(rows, {column, column + 160}, out.data(), 160);
                for (std::size_t i = rows.begin; i < rows.end; ++i)
                    for (std::size_t j = 0; j < 160; ++j)
                        wrong += out[(i - rows.begin) * 160 + j] != expected[i * n + column + j];
            }
    CHECK_EQ(wrong, 0);
    CHECK(device.fetched < reads * 3 / 4);
}

}  // namespace

int main() {
    fewer_strips_than_threads();
    strips_are_not_passed_round(6);
    return check::result();
}
