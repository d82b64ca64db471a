#include "adabet/rips/locality_order.hpp"

#include <algorithm>
#include <numeric>
#include <span>

namespace adabet {

namespace {

constexpr std::size_t kLandmarks = 12;
/// Parts of no more points than this stay as they are; larger ones are cut at multiples of it.
constexpr std::size_t kLeaf = 16;

template <class Real>
class Halving {
public:
    Halving(const DistanceTiles<Real>& tiles, const Execution& execution)
        : n_(tiles.n()),
          execution_(execution),
          coordinates_(make_buffer<float>(execution.budget, n_ * kLandmarks)),
          order_(make_buffer<Vertex>(execution.budget, n_)) {
        std::iota(order_.begin(), order_.end(), 0);
        find_landmarks(tiles);
    }

    Buffer<Vertex> run() {
        halve(order_);
        return std::move(order_);
    }

private:
    /// Each landmark is the point farthest from those before it.
    void find_landmarks(const DistanceTiles<Real>& tiles) {
        auto row = make_buffer<Real>(execution_.budget, n_);
        auto nearest = make_buffer<Real>(execution_.budget, n_, infinity<Real>);
        const auto reader = tiles.reader(execution_.budget);
        std::size_t landmark = 0;
        for (std::size_t k = 0; k < kLandmarks; ++k) {
            execution_.check();
            reader->read({landmark, landmark + 1}, {0, n_}, row.data(), n_);
            for (std::size_t v = 0; v < n_; ++v) {
                coordinates_[v * kLandmarks + k] = static_cast<float>(row[v]);
                nearest[v] = std::min(nearest[v], row[v]);
            }
            landmark = static_cast<std::size_t>(std::max_element(nearest.begin(), nearest.end()) - nearest.begin());
        }
    }

    [[nodiscard]] float coordinate(Vertex v, std::size_t k) const {
        return coordinates_[static_cast<std::size_t>(v) * kLandmarks + k];
    }

    [[nodiscard]] std::size_t widest(std::span<const Vertex> part) const {
        float least[kLandmarks];
        float most[kLandmarks];
        for (std::size_t k = 0; k < kLandmarks; ++k) least[k] = most[k] = coordinate(part.front(), k);
        for (const Vertex v : part) {
            for (std::size_t k = 0; k < kLandmarks; ++k) {
                least[k] = std::min(least[k], coordinate(v, k));
                most[k] = std::max(most[k], coordinate(v, k));
            }
        }
        std::size_t best = 0;
        for (std::size_t k = 1; k < kLandmarks; ++k)
            if (most[k] - least[k] > most[best] - least[best]) best = k;
        return best;
    }

    /// As deep as the logarithm of n: each part is half as large as the one it is cut from, but for a leaf.
    void halve(std::span<Vertex> part) {
        if (part.size() <= kLeaf) return;
        execution_.check();
        const std::size_t k = widest(part);
        const std::size_t leaves = (part.size() + kLeaf - 1) / kLeaf;
        const std::size_t cut = leaves / 2 * kLeaf;
        std::nth_element(part.begin(), part.begin() + static_cast<std::ptrdiff_t>(cut), part.end(),
                         [&](Vertex x, Vertex y) {
                             const float cx = coordinate(x, k);
                             const float cy = coordinate(y, k);
                             return cx < cy || (cx == cy && x < y);
                         });
        halve(part.first(cut));
        halve(part.subspan(cut));
    }

    std::size_t n_;
    const Execution& execution_;
    Buffer<float> coordinates_;
    Buffer<Vertex> order_;
};

}  // namespace

template <class Real>
Buffer<Vertex> locality_order(const DistanceTiles<Real>& tiles, const Execution& execution) {
    return Halving<Real>(tiles, execution).run();
}

template Buffer<Vertex> locality_order(const DistanceTiles<float>&, const Execution&);
template Buffer<Vertex> locality_order(const DistanceTiles<double>&, const Execution&);

}  // namespace adabet
