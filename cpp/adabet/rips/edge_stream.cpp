#include "adabet/rips/edge_stream.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <vector>

#include "adabet/rips/edge_sort.hpp"
#include "adabet/rips/length_sample.hpp"

namespace adabet {

namespace {

constexpr unsigned kFewestHistogramBits = 4;
constexpr unsigned kMostHistogramBits = 14;
constexpr std::size_t kEdgesPerBucket = 16;
/// Later batches are larger: most runs stop early, and those that do not should sort few times.
constexpr std::size_t kBatchGrowth = 4;
/// Sampled lengths below the first cut: it comes out right within an eighth or so.
constexpr std::size_t kSampledInFirst = 64;
constexpr std::size_t kSmallestSample = 1024;
constexpr std::size_t kLargestSample = std::size_t{1} << 20;
/// Rows and columns of one tile where distances are made anew.
constexpr std::size_t kTileRows = 64;
constexpr std::size_t kTileColumns = 2048;
/// Threads take room in a batch for this many edges at once.
constexpr std::size_t kShare = 8192;
constexpr std::size_t kMostColumnsAtOnce = 512;
/// Below this many points, threads cost more than they bring.
constexpr std::size_t kThreadedPoints = 768;

}  // namespace

template <class Real>
EdgeStream<Real>::EdgeStream(const Distances<Real>& distances, const BlockBounds<Real>& bounds, LengthKey<Real> longest,
                             std::size_t first_batch, std::size_t largest_batch, const Execution& execution)
    : distances_(distances),
      bounds_(bounds),
      execution_(execution),
      longest_(std::min(longest, longest_finite_key<Real>)),
      target_(std::min(first_batch, largest_batch)),
      largest_batch_(std::max<std::size_t>(largest_batch, distances.n())),
      n_pairs_(distances.n() < 2 ? 0 : distances.n() * (distances.n() - 1) / 2),
      sample_(make_buffer<Key>(execution.budget)),
      done_(n_pairs_ == 0 || longest < 0),
      pending_(make_buffer<Stretch>(execution.budget)),
      batch_(make_buffer<RankedEdge<Real>>(execution.budget)),
      spare_(make_buffer<RankedEdge<Real>>(execution.budget)) {
    if (!done_ && n_pairs_ > target_)
        sample_ = sample_lengths(distances,
                                 std::clamp(kSampledInFirst * (n_pairs_ / std::max<std::size_t>(target_, 1)),
                                            kSmallestSample, kLargestSample),
                                 execution);
}

template <class Real>
std::size_t EdgeStream<Real>::bytes(std::size_t n, std::size_t largest_batch, bool resident, int n_threads) {
    // A histogram's counts, its parts, and these again when they are merged and pending.
    constexpr std::size_t bucket = sizeof(std::size_t) + 3 * sizeof(Stretch);
    const std::size_t buckets = std::clamp(2 * largest_batch / kEdgesPerBucket, std::size_t{1} << kFewestHistogramBits,
                                           std::size_t{1} << kMostHistogramBits);
    const std::size_t tiles =
        resident ? 0 : static_cast<std::size_t>(n_threads) * kTileRows * kTileColumns * sizeof(Real);
    return 2 * (std::max(largest_batch, n) + kRowBlock) * sizeof(RankedEdge<Real>) + buckets * bucket + tiles;
}

template <class Real>
bool EdgeStream<Real>::next() {
    while (!pending_.empty() || !done_) {
        Stretch stretch{};
        if (pending_.empty()) {
            stretch = next_by_sample();
        } else {
            stretch = pending_.back();
            pending_.pop_back();
        }
        if (!take(stretch)) continue;
        target_ = std::min(target_ * kBatchGrowth, largest_batch_);
        return true;
    }
    return false;
}

/// From the last cut on, about as many edges as are wanted.
template <class Real>
EdgeStream<Real>::Stretch EdgeStream<Real>::next_by_sample() {
    const std::size_t n = distances_.n();
    Stretch stretch{next_low_, longest_, 0, n - 1, n_pairs_};
    if (!sample_.empty()) {
        // Not all of the room: the estimate may be too low.
        const std::size_t wanted = target_ < largest_batch_ ? target_ : largest_batch_ - largest_batch_ / 8;
        const double share = static_cast<double>(wanted) / static_cast<double>(n_pairs_);
        const auto step = static_cast<std::size_t>(share * static_cast<double>(sample_.size()));
        const std::size_t end = sampled_ + std::max<std::size_t>(step, 1);
        if (end < sample_.size() && sample_[end] < longest_) {
            stretch.high = std::max(sample_[end], next_low_);
            stretch.count = wanted;
            sampled_ = end;
            while (sampled_ < sample_.size() && sample_[sampled_] <= stretch.high) ++sampled_;
        } else {
            const auto last = std::upper_bound(sample_.begin(), sample_.end(), longest_) - sample_.begin();
            const std::size_t left =
                static_cast<std::size_t>(last) - std::min(sampled_, static_cast<std::size_t>(last));
            stretch.count =
                std::min(n_pairs_, std::max<std::size_t>(wanted / 8, left * (n_pairs_ / sample_.size() + 1)));
        }
    }
    done_ = stretch.high >= longest_;
    next_low_ = stretch.high + 1;
    return stretch;
}

/// Collects a stretch, or cuts it into smaller ones; whether there is a batch now.
template <class Real>
bool EdgeStream<Real>::take(const Stretch& stretch) {
    // An estimate may be off; four thirds of it hardly are.
    const std::size_t room = std::min(stretch.count + stretch.count / 3 + kRowBlock, largest_batch_);
    if (stretch.count <= largest_batch_ && collect(stretch, room)) return !batch_.empty();
    if (stretch.count <= largest_batch_ && room < largest_batch_ && collect(stretch, largest_batch_))
        return !batch_.empty();
    if (stretch.low < stretch.high)
        split_by_length(stretch);
    else if (stretch.first_b < stretch.last_b)
        split_by_larger_end(stretch);
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
std::size_t EdgeStream<Real>::tile_entries() const {
    return distances_.is_resident() ? 0 : kTileRows * kTileColumns;
}

/// Calls body(row, b, first, count) for stretches of rows: d(b, a) for a = first, ..., all below b; lengths of the stretch
/// are nowhere else.
template <class Real>
template <class Body>
void EdgeStream<Real>::for_each_piece(PointRange rows, const Stretch& stretch, DistanceReader<Real>& reader,
                                      const Body& body) const {
    auto runs = make_buffer<PointRange>(execution_.budget);
    find_runs(rows, stretch, runs);
    if (distances_.is_resident()) {
        // Row by row, so that edges come by (larger end, smaller end).
        const Tile<Real> tile = reader.tile(rows, {0, rows.end});
        for (std::size_t b = rows.begin; b < rows.end; ++b) {
            const Real* const row = tile.row(b - rows.begin);
            for (const PointRange& run : runs)
                if (run.begin < b) body(row + run.begin, b, run.begin, std::min(run.end, b) - run.begin);
        }
        return;
    }
    for (const PointRange& run : runs) {
        for (std::size_t begin = run.begin; begin < run.end; begin += kTileColumns) {
            const PointRange columns{begin, std::min(run.end, begin + kTileColumns)};
            const Tile<Real> tile = reader.tile(rows, columns);
            for (std::size_t b = std::max(rows.begin, begin + 1); b < rows.end; ++b)
                body(tile.row(b - rows.begin), b, begin, std::min(columns.end, b) - begin);
        }
    }
}

/// The columns below the rows' end where their groups may have lengths of the stretch.
template <class Real>
void EdgeStream<Real>::find_runs(PointRange rows, const Stretch& stretch, Buffer<PointRange>& runs) const {
    if (!bounds_.known()) {
        runs.push_back({0, rows.end});
        return;
    }
    const std::size_t first = bounds_.group_of(rows.begin);
    const std::size_t last = bounds_.group_of(rows.end - 1);
    for (std::size_t g = 0; g <= last; ++g) {
        bool meets = false;
        for (std::size_t r = first; r <= last && !meets; ++r)
            meets = bounds_.least(r)[g] <= stretch.high && bounds_.most(r)[g] >= stretch.low;
        if (!meets) continue;
        const PointRange points = bounds_.points(g);
        if (!runs.empty() && runs.back().end == points.begin)
            runs.back().end = points.end;
        else
            runs.push_back(points);
    }
}

template <class Real>
void EdgeStream<Real>::split_by_length(const Stretch& stretch) {
    using Unsigned = std::make_unsigned_t<Key>;
    const std::size_t n = distances_.n();
    DistanceReader<Real> reader(distances_, tile_entries(), execution_.budget);
    const auto for_each_row = [&](const auto& body) {
        for (std::size_t b = 0; b < n; b += kTileRows) {
            execution_.check();
            for_each_piece({b, std::min(n, b + kTileRows)}, stretch, reader, body);
        }
    };
    // The range that occurs may be far narrower than the one asked for, so that a histogram of the latter would put
    // everything into one bucket: find it first.
    Key low = stretch.high;
    Key high = stretch.low;
    for_each_row([&](const Real* row, std::size_t, std::size_t, std::size_t count) {
        kernels_.row_range(row, count, stretch.low, stretch.high, low, high);
    });
    if (low > high) return;
    const auto range = static_cast<Unsigned>(high - low);
    const unsigned width = static_cast<unsigned>(std::bit_width(range));
    const auto edges_bits = static_cast<unsigned>(std::bit_width(stretch.count / kEdgesPerBucket));
    const unsigned bits = std::clamp(edges_bits, kFewestHistogramBits, kMostHistogramBits);
    const unsigned shift = width > bits ? width - bits : 0;
    auto counts = make_buffer<std::size_t>(execution_.budget, (static_cast<std::size_t>(range) >> shift) + 1, 0);
    for_each_row([&](const Real* row, std::size_t, std::size_t, std::size_t count) {
        for (std::size_t a = 0; a < count; ++a) {
            const Key key = length_key(row[a]);
            if (key >= low && key <= high)
                ++counts[static_cast<std::size_t>(static_cast<Unsigned>(key - low) >> shift)];
        }
    });
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
    DistanceReader<Real> reader(distances_, tile_entries(), execution_.budget);
    for (std::size_t begin = stretch.first_b; begin <= stretch.last_b; begin += kTileRows) {
        execution_.check();
        const PointRange rows{begin, std::min(stretch.last_b + 1, begin + kTileRows)};
        std::size_t counts[kTileRows] = {};
        for_each_piece(rows, stretch, reader, [&](const Real* row, std::size_t b, std::size_t, std::size_t count) {
            for (std::size_t a = 0; a < count; ++a) counts[b - begin] += length_key(row[a]) == stretch.low;
        });
        for (std::size_t b = rows.begin; b < rows.end; ++b)
            parts.push_back({stretch.low, stretch.high, b, b, counts[b - begin]});
    }
    push_merged(parts);
}

/// Fills the batch; false where there are more edges than `capacity`.
template <class Real>
bool EdgeStream<Real>::collect(const Stretch& stretch, std::size_t capacity) {
    if (execution_.n_threads > 1 && distances_.n() >= kThreadedPoints) return collect_on_threads(stretch, capacity);
    DistanceReader<Real> reader(distances_, tile_entries(), execution_.budget);
    batch_.clear();
    batch_.resize(capacity + kRowBlock + kMostColumnsAtOnce);
    std::size_t found = 0;
    for (std::size_t begin = stretch.first_b; begin <= stretch.last_b && found <= capacity; begin += kTileRows) {
        execution_.check();
        const PointRange rows{begin, std::min(stretch.last_b + 1, begin + kTileRows)};
        for_each_piece(
            rows, stretch, reader, [&](const Real* row, std::size_t b, std::size_t first, std::size_t count) {
                for (std::size_t at = 0; at < count && found <= capacity; at += kMostColumnsAtOnce)
                    found += kernels_.edges_of_row(row + at, static_cast<Vertex>(b), static_cast<Vertex>(first + at),
                                                   std::min(kMostColumnsAtOnce, count - at), stretch.low, stretch.high,
                                                   batch_.data() + found);
            });
    }
    if (found > capacity) return false;
    batch_.resize(found);
    sort();
    return true;
}

/// Each task fills shares of the batch; put together in the order of the tasks, they are as one thread would leave them.
template <class Real>
bool EdgeStream<Real>::collect_on_threads(const Stretch& stretch, std::size_t capacity) {
    const auto n_workers = static_cast<std::size_t>(execution_.n_threads);
    const std::size_t n_tasks = (stretch.last_b - stretch.first_b + kTileRows) / kTileRows;
    constexpr std::size_t slack = kRowBlock + kMostColumnsAtOnce;
    batch_.clear();
    batch_.resize((capacity / (kShare - slack) + n_workers + 1) * kShare);
    const std::size_t n_pieces = batch_.size() / kShare;
    std::vector<DistanceReader<Real>> readers;
    readers.reserve(n_workers);
    for (std::size_t w = 0; w < n_workers; ++w) readers.emplace_back(distances_, tile_entries(), execution_.budget);

    struct Place {
        std::size_t at = 0;
        std::size_t end = 0;
    };
    struct Written {
        std::size_t task;
        std::size_t begin;
        std::size_t end;
    };
    std::vector<Place> places(n_workers);
    std::vector<Buffer<Written>> written(n_workers, make_buffer<Written>(execution_.budget));
    std::atomic<std::size_t> next_piece{0};
    std::atomic<bool> is_full{false};
    parallel_for(execution_, n_tasks, [&](std::size_t task, int worker, const Execution& own) {
        own.check();
        const auto w = static_cast<std::size_t>(worker);
        Place& place = places[w];
        std::size_t begin = place.at;
        const std::size_t first_row = stretch.first_b + task * kTileRows;
        const auto close = [&] {
            if (place.at > begin) written[w].push_back({task, begin, place.at});
        };
        for_each_piece({first_row, std::min(stretch.last_b + 1, first_row + kTileRows)}, stretch, readers[w],
                       [&](const Real* row, std::size_t b, std::size_t first, std::size_t count) {
                           for (std::size_t at = 0; at < count; at += kMostColumnsAtOnce) {
                               if (place.end - place.at < slack) {
                                   close();
                                   const std::size_t piece = next_piece.fetch_add(1);
                                   if (piece >= n_pieces) is_full = true;
                                   if (is_full) {
                                       place = {};
                                       begin = 0;
                                       return;
                                   }
                                   place = {piece * kShare, (piece + 1) * kShare};
                                   begin = place.at;
                               }
                               place.at += kernels_.edges_of_row(row + at, static_cast<Vertex>(b),
                                                                 static_cast<Vertex>(first + at),
                                                                 std::min(kMostColumnsAtOnce, count - at), stretch.low,
                                                                 stretch.high, batch_.data() + place.at);
                           }
                       });
        close();
    });
    if (is_full) return false;
    auto pieces = make_buffer<Written>(execution_.budget);
    std::size_t found = 0;
    for (const Buffer<Written>& some : written) {
        pieces.insert(pieces.end(), some.begin(), some.end());
        for (const Written& piece : some) found += piece.end - piece.begin;
    }
    if (found > capacity) return false;
    std::sort(pieces.begin(), pieces.end(), [](const Written& x, const Written& y) {
        return x.task < y.task || (x.task == y.task && x.begin < y.begin);
    });
    spare_.clear();
    spare_.resize(found);
    std::size_t at = 0;
    for (const Written& piece : pieces) {
        std::copy(batch_.begin() + static_cast<std::ptrdiff_t>(piece.begin),
                  batch_.begin() + static_cast<std::ptrdiff_t>(piece.end),
                  spare_.begin() + static_cast<std::ptrdiff_t>(at));
        at += piece.end - piece.begin;
    }
    batch_.swap(spare_);
    sort();
    return true;
}

template <class Real>
void EdgeStream<Real>::sort() {
    spare_.clear();
    spare_.resize(batch_.size());
    sort_by_length(batch_, spare_, execution_);
    if (distances_.is_resident()) return;
    // Tiles bring the edges of one larger end in parts: put equal lengths right.
    for (std::size_t low = 0; low < batch_.size();) {
        std::size_t high = low + 1;
        while (high < batch_.size() && batch_[high].key == batch_[low].key) ++high;
        if (high - low > 1)
            std::sort(batch_.begin() + static_cast<std::ptrdiff_t>(low),
                      batch_.begin() + static_cast<std::ptrdiff_t>(high));
        low = high;
    }
}

template class EdgeStream<float>;
template class EdgeStream<double>;

}  // namespace adabet
