// What the cores can do, measured: compiled and called by bench/roofline.py, for the processor it runs on.

#include <chrono>
#include <cstddef>
#include <thread>
#include <vector>

namespace {

#if defined(__AVX512F__)
constexpr std::size_t width = 16;
#elif defined(__AVX__)
constexpr std::size_t width = 8;
#else
constexpr std::size_t width = 4;
#endif
using Lanes = float __attribute__((vector_size(width * sizeof(float))));

template <class Work>
double seconds(int n_threads, Work&& work) {
    const auto start = std::chrono::steady_clock::now();
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < n_threads; ++t) threads.emplace_back([&work, t] { work(t); });
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Differences and fused squares in registers: twelve chains, so that latency hides.
void differences(std::size_t rounds, float* sink) {
    Lanes a = Lanes{} + 1.25F;
    const Lanes b = Lanes{} + 1.0F;
    Lanes s0{}, s1{}, s2{}, s3{}, s4{}, s5{}, s6{}, s7{}, s8{}, s9{}, s10{}, s11{};
    for (std::size_t k = 0; k < rounds; ++k) {
#define STEP(s)                         \
    {                                   \
        Lanes x = a - b;                \
        __asm__ volatile("" : "+x"(x)); \
        s += x * x;                     \
    }
        STEP(s0) STEP(s1) STEP(s2) STEP(s3) STEP(s4) STEP(s5) STEP(s6) STEP(s7) STEP(s8) STEP(s9) STEP(s10) STEP(s11)
#undef STEP
    }
    const Lanes sum = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9 + s10 + s11;
    *sink = sum[0];
}

}  // namespace

extern "C" {

/// Coordinate differences, squared and added, a second: all threads together.
double peak_differences(int n_threads) {
    constexpr std::size_t rounds = 4'000'000;
    std::vector<float> sinks(static_cast<std::size_t>(n_threads) * 64);
    const double taken =
        seconds(n_threads, [&](int t) { differences(rounds, &sinks[static_cast<std::size_t>(t) * 64]); });
    return static_cast<double>(rounds) * 12 * width * n_threads / taken;
}

/// Bytes read a second: all threads together, each its part.
double read_bandwidth(const float* values, std::size_t count, int n_threads) {
    std::vector<float> sinks(static_cast<std::size_t>(n_threads) * 64);
    const std::size_t part = count / static_cast<std::size_t>(n_threads) / (4 * width) * (4 * width);
    const double taken = seconds(n_threads, [&](int t) {
        const float* from = values + static_cast<std::size_t>(t) * part;
        Lanes s0{}, s1{}, s2{}, s3{};
        for (std::size_t k = 0; k < part; k += 4 * width) {
            Lanes x0, x1, x2, x3;
            __builtin_memcpy(&x0, from + k, sizeof x0);
            __builtin_memcpy(&x1, from + k + width, sizeof x1);
            __builtin_memcpy(&x2, from + k + 2 * width, sizeof x2);
            __builtin_memcpy(&x3, from + k + 3 * width, sizeof x3);
            s0 += x0;
            s1 += x1;
            s2 += x2;
            s3 += x3;
        }
        sinks[static_cast<std::size_t>(t) * 64] = (s0 + s1 + s2 + s3)[0];
    });
    return static_cast<double>(part) * sizeof(float) * n_threads / taken;
}
}
