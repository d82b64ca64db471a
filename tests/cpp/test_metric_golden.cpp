// Golden bits: distances of a fixed integer cloud, as they were when the order of summation was fixed. A change here is a
// change of contract: barcodes computed before and after it, on any machine or backend, differ.

#include <array>
#include <string>

#include "check.hpp"
#include "metric_support.hpp"

namespace {

using namespace metric_test;

struct Golden {
    std::size_t d;
    std::array<std::uint32_t, 3> in_float;  ///< pairs (0, 1), (0, 2), (1, 2)
    std::array<std::uint64_t, 3> in_double;
};

// clang-format off
constexpr std::array<Golden, 9> golden{{
    {1, {0x3e801d8aU, 0x3e1fc1c0U, 0x3ecffe6aU}, {0x3fd003b140000000U, 0x3fc3f83800000000U, 0x3fd9ffcd40000000U}},
    {2, {0x3fedd728U, 0x3fe7b37fU, 0x3f3ff11fU}, {0x3ffdbae4f2b283b6U, 0x3ffcf66feb08f898U, 0x3fe7fe23e13b9142U}},
    {3, {0x3f98a4beU, 0x3fc3a03cU, 0x3fd55b67U}, {0x3ff31497c94c1047U, 0x3ff874078669a290U, 0x3ffaab6cdb8a938cU}},
    {63, {0x40d92fc3U, 0x40b34a6aU, 0x40e048b5U}, {0x401b25f858003948U, 0x4016694d35b58a1aU, 0x401c09169eac16bbU}},
    {64, {0x40cd8a33U, 0x40c6d0b1U, 0x40d1e916U}, {0x4019b1466bde9f52U, 0x4018da161dde6137U, 0x401a3d22c28adb7bU}},
    {65, {0x40e3aaf8U, 0x40da4db6U, 0x40e8c206U}, {0x401c755ef3eb994dU, 0x401b49b6c95209ccU, 0x401d1840b3264286U}},
    {100, {0x410188f7U, 0x41053277U, 0x4106e002U}, {0x4020311ee14b8148U, 0x4020a64eeed3b2a2U, 0x4020dc0031f12918U}},
    {4096, {0x425176e5U, 0x424dc757U, 0x424fd9e3U}, {0x404a2edc96c20e51U, 0x4049b8eaec65625dU, 0x4049fb3c6836296dU}},
    {100003, {0x4380f0dfU, 0x438102d9U, 0x4380fbb3U}, {0x40701e1be821ffb7U, 0x4070205b2ef8d076U, 0x40701f766b9860f3U}},
}};
// clang-format on

/// Three rows of 31-bit integers times 2^-30, rounded to fp32.
std::vector<float> golden_cloud(std::size_t d) {
    Lcg random(20'260'101 + d);
    return cloud_of<float>(
        3 * d, [&] { return static_cast<float>(static_cast<std::int32_t>(random.next()) - (1 << 30)) * 0x1p-30F; });
}

constexpr std::array<std::size_t, 3> places{1, 2, 5};

}  // namespace

int main() {
    for (const Golden& expected : golden) {
        const auto x = golden_cloud(expected.d);
        for (const Isa isa : available_isas())
            for (const int threads : {1, 2}) {
                const std::string where = "d = " + std::to_string(expected.d) + ", " + std::string(name(isa));
                const auto in_float = distances<float>(view(x, 3, expected.d), Metric::euclidean, isa, threads);
                const auto in_double = distances<double>(view(x, 3, expected.d), Metric::euclidean, isa, threads);
                for (std::size_t pair = 0; pair < 3; ++pair) {
                    const bool same_float =
                        std::bit_cast<std::uint32_t>(in_float[places[pair]]) == expected.in_float[pair];
                    const bool same_double =
                        std::bit_cast<std::uint64_t>(in_double[places[pair]]) == expected.in_double[pair];
                    check::report(same_float, __FILE__, __LINE__,
                                  where + ", fp32: got " + check::show(in_float[places[pair]]));
                    check::report(same_double, __FILE__, __LINE__,
                                  where + ", fp64: got " + check::show(in_double[places[pair]]));
                }
            }
    }
    return check::result();
}
