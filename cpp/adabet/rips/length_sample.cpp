#include "adabet/rips/length_sample.hpp"

#include <algorithm>
#include <cstdint>

namespace adabet {

template <class Real>
Buffer<LengthKey<Real>> sample_lengths(const Distances<Real>& distances, std::size_t count,
                                       const Execution& execution) {
    const std::size_t at_once = std::size_t{1} << (distances.are_far() ? 17U : 9U);
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
    auto pairs = make_buffer<Edge>(execution.budget);
    auto lengths = make_buffer<Real>(execution.budget);
    while (n > 1 && sample.size() < count) {
        execution.check();
        pairs.clear();
        while (pairs.size() < std::min(at_once, count - sample.size())) {
            const auto i = static_cast<Vertex>(draw());
            const auto j = static_cast<Vertex>(draw());
            if (i != j) pairs.push_back({i, j});
        }
        lengths.resize(pairs.size());
        reader.pairs(pairs, lengths.data());
        for (const Real length : lengths) sample.push_back(length_key(length));
    }
    std::sort(sample.begin(), sample.end());
    return sample;
}

template Buffer<LengthKey<float>> sample_lengths(const Distances<float>&, std::size_t, const Execution&);
template Buffer<LengthKey<double>> sample_lengths(const Distances<double>&, std::size_t, const Execution&);

}  // namespace adabet
