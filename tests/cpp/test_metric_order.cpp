// The order of summation: every instruction set gives, bit for bit, what chain.hpp says when it is followed one operation
// at a time; so does the emulated fused multiply-add.

#include <array>
#include <limits>

#include "adabet/metric/fused_emulation.hpp"
#include "check.hpp"
#include "metric_support.hpp"

namespace {

using namespace metric_test;

bool emulates(float sum, float x) {
    return std::bit_cast<std::uint32_t>(fused_emulation::add_square(sum, x)) ==
           std::bit_cast<std::uint32_t>(std::fma(x, x, sum));
}

void emulated_fused_multiply_add() {
    Lcg random(1);
    long wrong = 0;
    for (int k = 0; k < 300'000; ++k) {  // any exponents
        const float sum = std::bit_cast<float>(random.next() & 0x7fffffffU);
        const float x = std::bit_cast<float>(random.next() ^ (random.next() << 16U));
        if (std::isfinite(sum) && std::isfinite(x) && !emulates(sum, x)) ++wrong;
    }
    for (int k = 0; k < 300'000; ++k) {  // x * x from 2^-80 to 2^4 times the sum: halfway cases a hair aside
        const float sum = std::bit_cast<float>((random.next() & 0x007fffffU) | 0x3f800000U);
        const float x = std::ldexp(1.0F + static_cast<float>(random.next() % 4096U) * 0x1p-12F,
                                   -static_cast<int>(random.next() % 43U) + 2);
        if (!emulates(sum, x)) ++wrong;
    }
    CHECK_EQ(wrong, 0);
    // x * x = 2^-24 (1 + 2^-12)^2 on a sum of 1: halfway but for 2^-36 of it; and on both sides of the parity.
    for (const float sum : {1.0F, 1.0F + 0x1p-23F, 1.0F + 0x1p-22F})
        for (const float x : {0x1p-12F, 0x1p-12F + 0x1p-35F, 0x1p-12F - 0x1p-36F, 0x1.6a09e6p-13F, 0x1p-40F})
            CHECK(emulates(sum, x));
    // A product whose fp64 sum is halfway only because fp64 dropped its tail.
    for (int e = 13; e < 40; ++e) {
        const float x = 0x1p-12F + std::ldexp(1.0F, -12 - 23);
        CHECK(emulates(std::ldexp(1.0F, e), std::ldexp(x, e / 2)));
    }
    constexpr float inf = std::numeric_limits<float>::infinity();
    constexpr float largest = std::numeric_limits<float>::max();
    constexpr float denormal = std::numeric_limits<float>::denorm_min();
    for (const float sum : {0.0F, denormal, 1.0F, largest, inf})
        for (const float x : {0.0F, denormal, 0x1p-75F, 0x1.8p-75F, 0x1p-63F, 0x1.000002p-63F, 0x1p63F, 0x1.fffffep63F,
                              0x1p64F, largest, inf})
            CHECK(emulates(sum, x));
}

/// All pairs, all instruction sets, against the replay.
void replay(const char* what, const std::vector<float>& x, std::size_t n, std::size_t d) {
    std::vector<float> expected(n * n, 0.0F);
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < i; ++j)
            expected[i * n + j] = expected[j * n + i] = replayed_distance(x.data() + j * d, x.data() + i * d, d);
    for (const Isa isa : available_isas())
        for (const int threads : {1, 3}) {
            const bool same = same_bits(distances<float>(view(x, n, d), Metric::euclidean, isa, threads), expected);
            check::report(same, __FILE__, __LINE__,
                          std::string(what) + ", d = " + std::to_string(d) + ", " + std::string(name(isa)));
        }
}

void replayed_clouds() {
    for (const std::size_t d : {1UL, 2UL, 3UL, 31UL, 32UL, 63UL, 64UL, 65UL, 96UL, 100UL, 1023UL, 1024UL, 1025UL,
                                4096UL, 8191UL, 8193UL, 30'011UL}) {
        Lcg random(d);
        const std::size_t n = d > 5000 ? 6 : 11;
        const std::size_t count = n * d;
        replay("gaussian", cloud_of<float>(count, [&] { return random.gaussian(); }), n, d);
        // Sums with few bits meet halfway cases all the time.
        replay("uniform multiples of 2^-20", cloud_of<float>(count, [&] { return random.coordinate(); }), n, d);
        // And where only some lanes have few bits, the emulation's quick chains stand beside the exact ones.
        std::size_t at = 0;
        replay("few bits in an eighth of the columns",
               cloud_of<float>(count,
                               [&] {
                                   const float value = random.gaussian();
                                   return at++ % d % chain::lanes < 4 ? std::round(value * 0x1p12F) * 0x1p-12F : value;
                               }),
               n, d);
        replay("integers", cloud_of<float>(count, [&] { return static_cast<float>(random.next() % 65'536U); }), n, d);
        replay("relu", cloud_of<float>(count, [&] { return std::max(0.0F, random.gaussian()); }), n, d);
        for (const float scale : {1e-22F, 1e-38F, 1e-12F, 1e19F, 1e-19F})
            replay("scaled", cloud_of<float>(count, [&] { return scale * random.gaussian(); }), n, d);
        replay("all scales",
               cloud_of<float>(
                   count, [&] { return std::ldexp(random.gaussian(), static_cast<int>(random.next() % 200U) - 130); }),
               n, d);
        replay("offset", cloud_of<float>(count, [&] { return 100.0F + 0.01F * random.gaussian(); }), n, d);
        replay("zero", std::vector<float>(count, 0.0F), n, d);
        replay("equal, tiny", std::vector<float>(count, 1e-30F), n, d);
        replay("sparse",
               cloud_of<float>(count, [&] { return random.next() % 50U == 0 ? random.gaussian() * 1e-20F : 0.0F; }), n,
               d);
    }
}

/// fp64 sums take the same order; only the last bits of the rest may differ, so the replay is on whole bits here too.
void replay_in_double() {
    for (const std::size_t d : {65UL, 1000UL, 9000UL}) {
        Lcg random(d);
        const std::size_t n = 7;
        const auto x = cloud_of<float>(n * d, [&] { return random.gaussian(); });
        std::vector<double> expected(n * n, 0.0);
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = 0; j < i; ++j) {
                double total = 0.0;
                double group = 0.0;
                for (std::size_t chunk = 0; chunk < chain::n_chunks(d); ++chunk) {
                    group += replayed_chunk<double>(x.data() + i * d, x.data() + j * d, d, chunk);
                    if ((chunk + 1) % chain::chunks_per_group != 0 && chunk + 1 != chain::n_chunks(d)) continue;
                    total += group;
                    group = 0.0;
                }
                expected[i * n + j] = expected[j * n + i] = std::sqrt(total);
            }
        for (const Isa isa : available_isas())
            CHECK(same_bits(distances<double>(view(x, n, d), Metric::euclidean, isa), expected));
    }
}

/// The maps of chain.hpp: every column once.
void columns_are_visited_once() {
    for (const std::size_t d : {65UL, 1024UL, 1025UL, 8192UL, 20'000UL}) {
        std::vector<int> seen(d, 0);
        for (std::size_t chunk = 0; chunk < chain::n_chunks(d); ++chunk)
            for (std::size_t step = 0; step < chain::steps_of(chain::columns_of(chunk, d)); ++step)
                for (std::size_t lane = 0; lane < chain::lanes; ++lane)
                    if (chain::column(chunk, step, lane) < d) ++seen[chain::column(chunk, step, lane)];
        CHECK(seen == std::vector<int>(d, 1));
        CHECK_EQ(chain::n_groups(d), chain::ceil_div(chain::n_chunks(d), chain::chunks_per_group));
    }
}

}  // namespace

int main() {
    emulated_fused_multiply_add();
    columns_are_visited_once();
    replayed_clouds();
    replay_in_double();
    return check::result();
}
