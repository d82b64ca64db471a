#include "adabet/rips/edge_stream.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace adabet {

namespace {

constexpr unsigned kDigitBits = 11;
constexpr std::size_t kDigits = std::size_t{1} << kDigitBits;
constexpr unsigned kFewestHistogramBits = 4;
constexpr unsigned kMostHistogramBits = 14;
constexpr std::size_t kEdgesPerBucket = 16;
constexpr std::size_t kRowsPerCheck = 256;
constexpr std::size_t kEdgesPerCheck = std::size_t{1} << 18;
/// Later batches are larger: most runs stop early, and those that do not should sort few times.
constexpr std::size_t kBatchGrowth = 4;

}  // namespace

template <class Real>
EdgeStream<Real>::EdgeStream(const DistanceMatrix<Real>& distances, LengthKey<Real> longest, std::size_t first_batch,
                             std::size_t largest_batch, const Execution& execution)
    : distances_(distances),
      execution_(execution),
      target_(std::min(first_batch, largest_batch)),
      largest_batch_(std::max<std::size_t>(largest_batch, distances.n)),
      pending_(make_buffer<Stretch>(execution.budget)),
      batch_(make_buffer<RankedEdge<Real>>(execution.budget)),
      spare_(make_buffer<RankedEdge<Real>>(execution.budget)) {
    const std::size_t n = distances.n;
    if (n >= 2 && longest >= 0)
        pending_.push_back({0, std::min(longest, longest_finite_key<Real>), 0, n - 1, n * (n - 1) / 2});
}

template <class Real>
std::size_t EdgeStream<Real>::bytes(std::size_t largest_batch) {
    // A histogram's counts, its parts, and these again when they are merged and pending.
    constexpr std::size_t bucket = sizeof(std::size_t) + 3 * sizeof(Stretch);
    const std::size_t buckets = std::clamp(2 * largest_batch / kEdgesPerBucket, std::size_t{1} << kFewestHistogramBits,
                                           std::size_t{1} << kMostHistogramBits);
    return 2 * (largest_batch + kRowBlock) * sizeof(RankedEdge<Real>) + buckets * bucket;
}

template <class Real>
bool EdgeStream<Real>::next() {
    while (!pending_.empty()) {
        const Stretch stretch = pending_.back();
        pending_.pop_back();
        if (stretch.count > std::min(target_, largest_batch_) && stretch.low < stretch.high) {
            split_by_length(stretch);
            continue;
        }
        if (stretch.count > largest_batch_ && stretch.first_b < stretch.last_b) {
            split_by_larger_end(stretch);
            continue;
        }
        collect(stretch);
        if (batch_.empty()) continue;
        target_ = std::min(target_ * kBatchGrowth, largest_batch_);
        return true;
    }
    return false;
}

/// Neighbouring parts are merged up to the growing target before they go on the stack.
template <class Real>
void EdgeStream<Real>::push_merged(const Buffer<Stretch>& parts) {
    auto merged = make_buffer<Stretch>(execution_.budget);
    std::size_t target = target_;
    for (const Stretch& part : parts) {
        if (part.count == 0) continue;
        if (!merged.empty() && merged.back().count + part.count <= target) {
            merged.back().high = part.high;
            merged.back().last_b = part.last_b;
            merged.back().count += part.count;
            continue;
        }
        if (!merged.empty()) target = std::min(target * kBatchGrowth, largest_batch_);
        merged.push_back(part);
    }
    pending_.insert(pending_.end(), merged.rbegin(), merged.rend());
}

template <class Real>
void EdgeStream<Real>::split_by_length(const Stretch& stretch) {
    using Unsigned = std::make_unsigned_t<Key>;
    // The range that occurs may be far narrower than the one asked for, so that a histogram of the latter would put
    // everything into one bucket: find it first.
    Key low = stretch.high;
    Key high = stretch.low;
    for (std::size_t b = 1; b < distances_.n; ++b) {
        if (b % kRowsPerCheck == 0) execution_.check();
        kernels_.row_range(distances_.row(b), b, stretch.low, stretch.high, low, high);
    }
    if (low > high) return;
    const auto range = static_cast<Unsigned>(high - low);
    const unsigned width = static_cast<unsigned>(std::bit_width(range));
    const auto edges_bits = static_cast<unsigned>(std::bit_width(stretch.count / kEdgesPerBucket));
    const unsigned bits = std::clamp(edges_bits, kFewestHistogramBits, kMostHistogramBits);
    const unsigned shift = width > bits ? width - bits : 0;
    auto counts = make_buffer<std::size_t>(execution_.budget, (static_cast<std::size_t>(range) >> shift) + 1, 0);
    for (std::size_t b = 1; b < distances_.n; ++b) {
        if (b % kRowsPerCheck == 0) execution_.check();
        const Real* const row = distances_.row(b);
        for (std::size_t a = 0; a < b; ++a) {
            const Key key = length_key(row[a]);
            if (key >= low && key <= high)
                ++counts[static_cast<std::size_t>(static_cast<Unsigned>(key - low) >> shift)];
        }
    }
    auto parts = make_buffer<Stretch>(execution_.budget, counts.size());
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const Key first = low + static_cast<Key>(static_cast<Unsigned>(i) << shift);
        const Key last = static_cast<Key>(first + static_cast<Key>((Unsigned{1} << shift) - 1));
        parts[i] = {first, std::min(last, high), stretch.first_b, stretch.last_b, counts[i]};
    }
    push_merged(parts);
}

template <class Real>
void EdgeStream<Real>::split_by_larger_end(const Stretch& stretch) {
    auto parts = make_buffer<Stretch>(execution_.budget);
    for (std::size_t b = std::max<std::size_t>(stretch.first_b, 1); b <= stretch.last_b; ++b) {
        if (b % kRowsPerCheck == 0) execution_.check();
        const Real* const row = distances_.row(b);
        std::size_t count = 0;
        for (std::size_t a = 0; a < b; ++a) count += length_key(row[a]) == stretch.low;
        parts.push_back({stretch.low, stretch.high, b, b, count});
    }
    push_merged(parts);
}

template <class Real>
void EdgeStream<Real>::collect(const Stretch& stretch) {
    batch_.resize(stretch.count + kRowBlock);
    std::size_t found = 0;
    for (std::size_t b = std::max<std::size_t>(stretch.first_b, 1); b <= stretch.last_b; ++b) {
        if (b % kRowsPerCheck == 0) execution_.check();
        found += kernels_.edges_of_row(distances_.row(b), static_cast<Vertex>(b), stretch.low, stretch.high,
                                       batch_.data() + found);
    }
    batch_.resize(found);
    sort(stretch.low, stretch.high);
}

/// Calls body(edge) for each edge of the batch: batches may be large, so the checkpoint comes now and then.
template <class Real>
template <class Body>
void EdgeStream<Real>::for_each_edge(const Body& body) const {
    for (std::size_t begin = 0; begin < batch_.size(); begin += kEdgesPerCheck) {
        if (begin > 0) execution_.check();
        const std::size_t end = std::min(batch_.size(), begin + kEdgesPerCheck);
        for (std::size_t i = begin; i < end; ++i) body(batch_[i]);
    }
}

/// Edges arrive by (larger end, smaller end), so a stable radix sort by length alone gives the order of the filtration.
template <class Real>
void EdgeStream<Real>::sort(Key low, Key high) {
    using Unsigned = std::make_unsigned_t<Key>;
    Key least = high;
    Key most = low;
    for_each_edge([&](const RankedEdge<Real>& edge) {
        least = std::min(least, edge.key);
        most = std::max(most, edge.key);
    });
    if (batch_.empty() || least == most) return;
    if (batch_.size() < kDigits / 4) {
        std::sort(batch_.begin(), batch_.end());
        return;
    }
    spare_.resize(batch_.size());
    const auto width = static_cast<unsigned>(std::bit_width(static_cast<Unsigned>(most - least)));
    for (unsigned shift = 0; shift < width; shift += kDigitBits) {
        const auto digit = [&](const RankedEdge<Real>& edge) {
            return static_cast<std::size_t>(static_cast<Unsigned>(edge.key - least) >> shift) & (kDigits - 1);
        };
        std::array<std::size_t, kDigits> start{};
        for_each_edge([&](const RankedEdge<Real>& edge) { ++start[digit(edge)]; });
        std::size_t sum = 0;
        for (std::size_t& s : start) {
            const std::size_t count = s;
            s = sum;
            sum += count;
        }
        for_each_edge([&](const RankedEdge<Real>& edge) { spare_[start[digit(edge)]++] = edge; });
        batch_.swap(spare_);
    }
}

template class EdgeStream<float>;
template class EdgeStream<double>;

}  // namespace adabet
