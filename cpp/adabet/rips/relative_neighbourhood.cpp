#include "adabet/rips/relative_neighbourhood.hpp"

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>
#include <vector>

#include "adabet/rips/kernels.hpp"

namespace adabet {

namespace {

constexpr std::size_t kMaxWitnesses = 24;
constexpr std::size_t kRowsPerTask = 16;
/// Below this, threads cost more than they bring.
constexpr std::size_t kThreadedPoints = 384;
constexpr std::size_t kComparisonsPerCheck = std::size_t{1} << 18;

/// Each task writes its edges here; the final sort makes the result the same whatever the threads.
template <class Real>
class Rows {
public:
    Rows(const DistanceMatrix<Real>& distances, LengthKey<Real> longest, const Execution& execution)
        : distances_(distances), longest_(longest), edges_(make_buffer<RankedEdge<Real>>(execution.budget)) {}

    void run(std::size_t begin, std::size_t end, Buffer<Vertex>& candidates, Buffer<RankedEdge<Real>>& found,
             const Execution& own) {
        found.clear();
        for (std::size_t a = begin; a < end; ++a) {
            own.check();
            const auto va = static_cast<Vertex>(a);
            const std::size_t count = candidates_of(va, candidates.data());
            for (std::size_t i = 0; i < count; ++i) {
                const Vertex b = candidates[i];
                if (kernels_.lune_is_empty(distances_, va, b))
                    found.push_back({length_key(distances_(a, static_cast<std::size_t>(b))), b, va});
            }
        }
        const std::lock_guard lock(mutex_);
        edges_.insert(edges_.end(), found.begin(), found.end());
    }
    [[nodiscard]] Buffer<RankedEdge<Real>> take_edges() { return std::move(edges_); }

private:
    /// Every b > a that no cheap witness rules out.
    std::size_t candidates_of(Vertex a, Vertex* out) const {
        const std::size_t n = distances_.n;
        const Real* const row = distances_.row(static_cast<std::size_t>(a));
        if (n >= 2 * kRowBlock) {
            std::array<Witness<Real>, kMaxWitnesses> witnesses{};
            std::size_t count = kernels_.segment_minima(row, n, a, kMaxWitnesses, witnesses.data());
            if (count > 0) {
                const std::size_t groups = (count + kWitnessGroup - 1) / kWitnessGroup;
                while (count < groups * kWitnessGroup) witnesses[count++] = witnesses[0];
                return kernels_.survivors_of_row(distances_, a, witnesses.data(), count, longest_, out);
            }
        }
        std::size_t count = 0;
        for (auto b = static_cast<std::size_t>(a) + 1; b < n; ++b) {
            out[count] = static_cast<Vertex>(b);
            count += length_key(row[b]) <= longest_;
        }
        return count;
    }

    const DistanceMatrix<Real>& distances_;
    LengthKey<Real> longest_;
    const RipsKernels<Real>& kernels_ = rips_kernels<Real>();
    std::mutex mutex_;
    Buffer<RankedEdge<Real>> edges_;
};

}  // namespace

template <class Real>
Buffer<RankedEdge<Real>> relative_neighbourhood_graph(const DistanceMatrix<Real>& distances, LengthKey<Real> longest,
                                                      const Execution& execution) {
    const std::size_t n = distances.n;
    const int n_threads = n < kThreadedPoints ? 1 : std::max(1, execution.n_threads);
    Rows<Real> rows(distances, longest, execution);

    struct Scratch {
        Buffer<Vertex> candidates;
        Buffer<RankedEdge<Real>> found;
    };
    std::vector<Scratch> scratch;
    scratch.reserve(static_cast<std::size_t>(n_threads));
    for (int t = 0; t < n_threads; ++t)
        scratch.push_back({make_buffer<Vertex>(execution.budget, n), make_buffer<RankedEdge<Real>>(execution.budget)});

    const Execution limited{execution.budget, n_threads, execution.checkpoint};
    parallel_for(
        limited, (n + kRowsPerTask - 1) / kRowsPerTask, [&](std::size_t task, int worker, const Execution& own) {
            Scratch& mine = scratch[static_cast<std::size_t>(worker)];
            rows.run(task * kRowsPerTask, std::min(n, (task + 1) * kRowsPerTask), mine.candidates, mine.found, own);
        });
    std::size_t compared = 0;
    Buffer<RankedEdge<Real>> edges = rows.take_edges();
    std::sort(edges.begin(), edges.end(), [&](const RankedEdge<Real>& x, const RankedEdge<Real>& y) {
        if (++compared % kComparisonsPerCheck == 0) execution.check();
        return x < y;
    });
    return edges;
}

template Buffer<RankedEdge<float>> relative_neighbourhood_graph(const DistanceMatrix<float>&, LengthKey<float>,
                                                                const Execution&);
template Buffer<RankedEdge<double>> relative_neighbourhood_graph(const DistanceMatrix<double>&, LengthKey<double>,
                                                                 const Execution&);

}  // namespace adabet
