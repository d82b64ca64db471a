#include "adabet/rips/candidate_edges.hpp"

#include <array>
#include <mutex>
#include <utility>
#include <vector>

#include "adabet/rips/kernels.hpp"

namespace adabet {

namespace {

constexpr std::size_t kRowsPerTask = 16;
/// Columns of one tile where distances are made anew.
constexpr std::size_t kTileColumns = 2048;

template <class Real>
class CandidateSearch {
public:
    CandidateSearch(const Distances<Real>& distances, const Survey<Real>& survey, LengthKey<Real> longest,
                    const std::function<bool(const RankedEdge<Real>&)>& is_out, const Execution& execution)
        : distances_(distances),
          bounds_(survey.bounds),
          longest_(longest),
          is_out_(is_out),
          execution_(execution),
          n_(distances.n()),
          edges_(make_buffer<RankedEdge<Real>>(execution.budget)) {}

    Buffer<RankedEdge<Real>> run() {
        const std::size_t rows = distances_.is_resident() ? kRowsPerTask : kStripRows;
        std::vector<Worker> workers;
        for (int w = 0; w < std::max(1, execution_.n_threads); ++w)
            workers.emplace_back(distances_, distances_.is_resident() ? n_ : kTileColumns, execution_.budget);
        parallel_for(execution_, (n_ + rows - 1) / rows, [&](std::size_t task, int worker, const Execution& own) {
            Worker& mine = workers[static_cast<std::size_t>(worker)];
            const PointRange strip{task * rows, std::min(n_, (task + 1) * rows)};
            mine.found.clear();
            if (distances_.is_resident())
                search_rows(strip, mine, own);
            else
                search_strip(strip, mine, own);
            const std::lock_guard lock(mutex_);
            edges_.insert(edges_.end(), mine.found.begin(), mine.found.end());
        });
        return std::move(edges_);
    }

private:
    struct Worker {
        Worker(const Distances<Real>& distances, std::size_t columns, MemoryBudget& budget)
            : reader(distances, kStripRows * columns, budget),
              among(make_buffer<Real>(budget, distances.is_resident() ? 0 : kStripRows * kStripRows)),
              runs(make_buffer<PointRange>(budget)),
              survivors(make_buffer<Vertex>(budget, columns)),
              found(make_buffer<RankedEdge<Real>>(budget)) {}

        DistanceReader<Real> reader;
        Buffer<Real> among;  ///< distances of a strip's points from one another
        Buffer<PointRange> runs;
        Buffer<Vertex> survivors;
        Buffer<RankedEdge<Real>> found;
    };

    /// Columns from `from` on that bounds do not settle for the groups of `rows`.
    void find_runs(PointRange rows, std::size_t from, Buffer<PointRange>& runs) const {
        runs.clear();
        if (!bounds_.known()) {
            runs.push_back({from, n_});
            return;
        }
        const std::size_t first = bounds_.group_of(rows.begin);
        const std::size_t last = bounds_.group_of(rows.end - 1);
        for (std::size_t b = bounds_.group_of(from); b < bounds_.groups(); ++b) {
            bool open = false;
            for (std::size_t a = first; a <= last && !open; ++a) open = is_open(a, b);
            if (!open) continue;
            const PointRange points = bounds_.points(b);
            if (!runs.empty() && runs.back().end >= points.begin)
                runs.back().end = points.end;
            else
                runs.push_back({std::max(points.begin, from), points.end});
        }
    }
    /// Whether no third group is nearer to both groups than these are to one another.
    [[nodiscard]] bool is_open(std::size_t a, std::size_t b) const {
        const LengthKey<Real> least = bounds_.least(a)[b];
        return least <= longest_ && !kernels_.any_both_below(bounds_.most(a), bounds_.most(b), bounds_.groups(), least);
    }

    void keep(std::size_t a, const Real* row, std::size_t origin, PointRange run, const Witnesses<Real>& witnesses,
              Worker& mine) const {
        const std::size_t begin = std::max(run.begin, a + 1);
        if (begin >= run.end) return;
        Witnesses<Real> shifted = witnesses;
        for (std::size_t w = 0; w < witnesses.count; ++w) shifted.rows[w] += begin - origin;
        const std::size_t count = kernels_.survivors_of_run(row + (begin - origin), shifted, run.end - begin, longest_,
                                                            static_cast<Vertex>(begin), mine.survivors.data());
        for (std::size_t i = 0; i < count; ++i) {
            const Vertex b = mine.survivors[i];
            const RankedEdge<Real> edge{length_key(row[static_cast<std::size_t>(b) - origin]), b,
                                        static_cast<Vertex>(a)};
            if (!is_out_ || !is_out_(edge)) mine.found.push_back(edge);
        }
    }

    /// Fills up the last group of witnesses by repeating one.
    static void complete(Witnesses<Real>& witnesses) {
        for (; witnesses.count % kWitnessGroup != 0; ++witnesses.count) {
            witnesses.rows[witnesses.count] = witnesses.rows[0];
            witnesses.reach[witnesses.count] = witnesses.reach[0];
            witnesses.lead[witnesses.count] = witnesses.lead[0];
        }
    }

    /// Witnesses may be any points.
    void search_rows(PointRange strip, Worker& mine, const Execution& own) const {
        const DistanceMatrix<Real>& matrix = distances_.matrix();
        find_runs(strip, strip.begin, mine.runs);
        for (std::size_t a = strip.begin; a < strip.end && !mine.runs.empty(); ++a) {
            own.check();
            std::array<Witness<Real>, Witnesses<Real>::kMost> nearest{};
            Witnesses<Real> witnesses;
            const std::size_t count = n_ < 2 * kRowBlock
                                          ? 0
                                          : kernels_.segment_minima(matrix.row(a), n_, static_cast<Vertex>(a),
                                                                    Witnesses<Real>::kMost, nearest.data());
            for (std::size_t w = 0; w < count; ++w) {
                witnesses.rows[w] = matrix.row(static_cast<std::size_t>(nearest[w].vertex));
                witnesses.reach[w] = nearest[w].key;
                witnesses.lead[w] = static_cast<std::size_t>(nearest[w].vertex) < a ? 1 : 0;
            }
            witnesses.count = count;
            complete(witnesses);
            for (const PointRange& run : mine.runs) keep(a, matrix.row(a), 0, run, witnesses, mine);
        }
    }

    /// Witnesses are points of the strip.
    void search_strip(PointRange strip, Worker& mine, const Execution& own) const {
        find_runs(strip, strip.begin, mine.runs);
        if (mine.runs.empty()) return;
        const std::size_t rows = strip.size();
        const Tile<Real> square = mine.reader.tile(strip, strip);
        for (std::size_t i = 0; i < rows; ++i) std::copy_n(square.row(i), rows, mine.among.data() + i * rows);
        for (const PointRange& run : mine.runs) {
            for (std::size_t begin = run.begin; begin < run.end; begin += kTileColumns) {
                own.check();
                const PointRange columns{begin, std::min(run.end, begin + kTileColumns)};
                const Tile<Real> tile = mine.reader.tile(strip, columns);
                for (std::size_t i = 0; i < rows; ++i)
                    keep(strip.begin + i, tile.row(i), begin, columns,
                         witnesses_in(mine.among.data() + i * rows, i, rows, tile), mine);
            }
        }
    }
    Witnesses<Real> witnesses_in(const Real* row, std::size_t i, std::size_t rows, const Tile<Real>& tile) const {
        std::array<Witness<Real>, Witnesses<Real>::kMost> nearest{};
        Witnesses<Real> witnesses;
        if (rows < 2) return witnesses;
        witnesses.count = kernels_.segment_minima(row, rows, static_cast<Vertex>(i),
                                                  std::min(Witnesses<Real>::kMost, rows), nearest.data());
        for (std::size_t w = 0; w < witnesses.count; ++w) {
            const auto v = static_cast<std::size_t>(nearest[w].vertex);
            witnesses.rows[w] = tile.row(v);
            witnesses.reach[w] = nearest[w].key;
            witnesses.lead[w] = v < i ? 1 : 0;
        }
        complete(witnesses);
        return witnesses;
    }

    const Distances<Real>& distances_;
    const BlockBounds<Real>& bounds_;
    LengthKey<Real> longest_;
    const std::function<bool(const RankedEdge<Real>&)>& is_out_;
    const Execution& execution_;
    std::size_t n_;
    const RipsKernels<Real>& kernels_ = rips_kernels<Real>();
    std::mutex mutex_;
    Buffer<RankedEdge<Real>> edges_;
};

}  // namespace

template <class Real>
Buffer<RankedEdge<Real>> candidate_edges(const Distances<Real>& distances, const Survey<Real>& survey,
                                         LengthKey<Real> longest,
                                         const std::function<bool(const RankedEdge<Real>&)>& is_out,
                                         const Execution& execution) {
    return CandidateSearch<Real>(distances, survey, longest, is_out, execution).run();
}

std::size_t candidate_edges_bytes(std::size_t n, std::size_t real_size, bool resident, int n_threads) {
    const std::size_t strip = resident ? 0 : kStripRows * (kTileColumns + kStripRows) * real_size;
    const std::size_t columns = resident ? n : kTileColumns;
    return static_cast<std::size_t>(n_threads) * (strip + columns * sizeof(Vertex));
}

template Buffer<RankedEdge<float>> candidate_edges(const Distances<float>&, const Survey<float>&, LengthKey<float>,
                                                   const std::function<bool(const RankedEdge<float>&)>&,
                                                   const Execution&);
template Buffer<RankedEdge<double>> candidate_edges(const Distances<double>&, const Survey<double>&, LengthKey<double>,
                                                    const std::function<bool(const RankedEdge<double>&)>&,
                                                    const Execution&);

}  // namespace adabet
