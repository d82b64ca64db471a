#include "adabet/rips/length_sample.hpp"

#include <algorithm>
#include <cstdint>

namespace adabet {

template <class Real>
Buffer<LengthKey<Real>> sample_lengths(const Distances<Real>& distances, std::size_t count,
                                       const Execution& execution) {
    constexpr std::size_t kPairsPerCheck = 4096;
    const std::size_t n = distances.n();
    auto sample = make_buffer<LengthKey<Real>>(execution.budget);
    sample.reserve(count);
    const DistanceReader<Real> reader(distances, 0, execution.budget);
    std::uint64_t state = 0x9E3779B97F4A7C15u;
    const auto draw = [&] {  // xorshift, its high bits scaled to [0, n)
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return static_cast<std::size_t>((state >> 32) * n >> 32);
    };
    while (n > 1 && sample.size() < count) {
        if (sample.size() % kPairsPerCheck == 0) execution.check();
        const std::size_t i = draw();
        const std::size_t j = draw();
        if (i != j) sample.push_back(length_key(reader.at(i, j)));
    }
    std::sort(sample.begin(), sample.end());
    return sample;
}

template Buffer<LengthKey<float>> sample_lengths(const Distances<float>&, std::size_t, const Execution&);
template Buffer<LengthKey<double>> sample_lengths(const Distances<double>&, std::size_t, const Execution&);

}  // namespace adabet
