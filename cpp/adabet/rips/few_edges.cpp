#include "adabet/rips/few_edges.hpp"

#include <algorithm>
#include <cmath>

#include "adabet/rips/edge_stream.hpp"
#include "adabet/rips/length_sample.hpp"

namespace adabet {

namespace {

/// Of n^1.5 edges so many are met, whatever n.
constexpr double kSampled = 128;

}  // namespace

template <class Real>
std::size_t estimated_edges(const Distances<Real>& distances, LengthKey<Real> longest, const Execution& execution) {
    const std::size_t n = distances.n();
    if (n < 2) return 0;
    const auto size = static_cast<std::size_t>(kSampled * std::sqrt(static_cast<double>(n)));
    const Buffer<LengthKey<Real>> sample = sample_lengths(distances, size, execution);
    const auto inside = std::upper_bound(sample.begin(), sample.end(), longest) - sample.begin();
    const double pairs = static_cast<double>(n) * static_cast<double>(n - 1) / 2;
    return static_cast<std::size_t>(static_cast<double>(inside) * pairs / static_cast<double>(size));
}

template <class Real>
std::optional<Buffer<RankedEdge<Real>>> few_edges(const Distances<Real>& distances, const BlockBounds<Real>& bounds,
                                                  LengthKey<Real> longest, std::size_t expected, std::size_t most,
                                                  const Execution& execution) {
    // A quarter more than a sample tells: then one batch holds them all, nearly always.
    const std::size_t n = distances.n();
    EdgeStream<Real> stream(distances, bounds, longest, std::min(most, expected + expected / 4 + n),
                            std::min(most, 2 * expected + 8 * n), execution);
    auto edges = make_buffer<RankedEdge<Real>>(execution.budget);
    while (stream.next()) {
        if (edges.size() + stream.edges().size() > most) return {};
        if (edges.empty())
            edges = stream.take_edges();
        else
            edges.insert(edges.end(), stream.edges().begin(), stream.edges().end());
    }
    return edges;
}

template std::size_t estimated_edges(const Distances<float>&, LengthKey<float>, const Execution&);
template std::size_t estimated_edges(const Distances<double>&, LengthKey<double>, const Execution&);
template std::optional<Buffer<RankedEdge<float>>> few_edges(const Distances<float>&, const BlockBounds<float>&,
                                                            LengthKey<float>, std::size_t, std::size_t,
                                                            const Execution&);
template std::optional<Buffer<RankedEdge<double>>> few_edges(const Distances<double>&, const BlockBounds<double>&,
                                                             LengthKey<double>, std::size_t, std::size_t,
                                                             const Execution&);

}  // namespace adabet
