#include "adabet/rips/survey.hpp"

#include <limits>
#include <vector>

#include "adabet/rips/kernels.hpp"

namespace adabet {

namespace {

/// Columns of one tile where distances are made anew: with a group's rows it stays in the second cache.
constexpr std::size_t kTileColumns = 2048;
/// Points whose distances stand for all when a point's remoteness is judged.
constexpr std::size_t kRemotenessSample = 256;
constexpr std::size_t kRemotenessColumns = 32;
constexpr std::size_t kRemotenessRows = 64;

template <class Real>
class SurveyRun {
public:
    using Key = LengthKey<Real>;

    SurveyRun(const Distances<Real>& distances, const Execution& execution)
        : distances_(distances),
          execution_(execution),
          n_(distances.n()),
          survey_{{},
                  make_buffer<double>(execution.budget, n_, 0.0),
                  n_ >= kFewestSurveyedPoints ? BlockBounds<Real>(n_, execution.budget)
                                              : BlockBounds<Real>(execution.budget)},
          farthest_(make_buffer<Key>(execution.budget, n_, 0)) {}

    Survey<Real> run() {
        if (n_ < 2) return std::move(survey_);
        if (!survey_.bounds.known()) {
            look_at_rows();
        } else {
            look_at_groups();
            if (!distances_.is_resident()) sample_remoteness();
        }
        find_enclosing_radius();
        return std::move(survey_);
    }

private:
    struct Worker {
        DistanceReader<Real> reader;
        Buffer<Key> least;  ///< of each column, over a group's rows
        Buffer<Key> most;
        Buffer<Key> farthest;  ///< of each point, as far as this worker saw it as a column
    };

    void look_at_rows() {
        DistanceReader<Real> reader(distances_, n_, execution_.budget);
        for (std::size_t a = 0; a < n_; ++a) {
            if (a % 64 == 0) execution_.check();
            look_at_row(reader.tile({a, a + 1}, {0, n_}).data, a);
        }
    }
    void look_at_row(const Real* row, std::size_t a) {
        farthest_[a] = kernels_.row_maximum(row, n_);
        survey_.remoteness[a] = kernels_.row_sum(row, n_);
    }

    void look_at_groups() {
        BlockBounds<Real>& bounds = survey_.bounds;
        const std::size_t columns = distances_.is_resident() ? n_ : std::min(n_, kTileColumns);
        std::vector<Worker> workers;
        const auto n_workers = static_cast<std::size_t>(std::max(1, execution_.n_threads));
        workers.reserve(n_workers);
        for (std::size_t w = 0; w < n_workers; ++w) {
            workers.push_back({{distances_, bounds.group() * columns, execution_.budget},
                               make_buffer<Key>(execution_.budget, columns),
                               make_buffer<Key>(execution_.budget, columns),
                               make_buffer<Key>(execution_.budget, distances_.is_resident() ? 0 : n_, 0)});
        }
        parallel_for(execution_, bounds.groups(), [&](std::size_t group, int worker, const Execution& own) {
            Worker& mine = workers[static_cast<std::size_t>(worker)];
            if (distances_.is_resident())
                look_at_group(group, {0, n_}, mine);
            else
                for (std::size_t c = bounds.points(group).begin; c < n_; c += columns) {
                    own.check();
                    look_at_group(group, {c, std::min(n_, c + columns)}, mine);
                }
            own.check();
        });
        for (const Worker& worker : workers)
            for (std::size_t v = 0; v < worker.farthest.size(); ++v)
                farthest_[v] = std::max(farthest_[v], worker.farthest[v]);
    }

    /// A group's rows, columns from a group's first point on.
    void look_at_group(std::size_t group, PointRange columns, Worker& mine) {
        const PointRange rows = survey_.bounds.points(group);
        const Tile<Real> tile = mine.reader.tile(rows, columns);
        std::fill_n(mine.least.begin(), columns.size(), std::numeric_limits<Key>::max());
        std::fill_n(mine.most.begin(), columns.size(), Key{0});
        for (std::size_t a = rows.begin; a < rows.end; ++a) {
            const Real* const row = tile.row(a - rows.begin);
            kernels_.column_bounds(row, columns.size(), mine.least.data(), mine.most.data());
            if (distances_.is_resident())
                look_at_row(row, a);
            else
                mine.farthest[a] = std::max(mine.farthest[a], kernels_.row_maximum(row, columns.size()));
        }
        for (std::size_t v = 0; v < columns.size() && !mine.farthest.empty(); ++v)
            mine.farthest[columns.begin + v] = std::max(mine.farthest[columns.begin + v], mine.most[v]);
        for (std::size_t other = survey_.bounds.group_of(columns.begin); other * survey_.bounds.group() < columns.end;
             ++other) {
            const PointRange points = survey_.bounds.points(other);
            Key least = std::numeric_limits<Key>::max();
            Key most = 0;
            for (std::size_t v = points.begin - columns.begin; v < std::min(points.end, columns.end) - columns.begin;
                 ++v) {
                least = std::min(least, mine.least[v]);
                most = std::max(most, mine.most[v]);
            }
            survey_.bounds.set(group, other, least, most);
            if (!distances_.is_resident()) survey_.bounds.set(other, group, least, most);
        }
    }

    void sample_remoteness() {
        constexpr std::size_t blocks = kRemotenessSample / kRemotenessColumns;
        auto readers = make_readers(kRemotenessRows * kRemotenessColumns);
        parallel_for(execution_, (n_ + kRemotenessRows - 1) / kRemotenessRows,
                     [&](std::size_t task, int worker, const Execution& own) {
                         own.check();
                         const PointRange rows{task * kRemotenessRows, std::min(n_, (task + 1) * kRemotenessRows)};
                         for (std::size_t k = 0; k < blocks; ++k) {
                             const std::size_t begin = (n_ - kRemotenessColumns) * k / (blocks - 1);
                             const PointRange columns{begin, begin + kRemotenessColumns};
                             const Tile<Real> tile = readers[static_cast<std::size_t>(worker)]->tile(rows, columns);
                             for (std::size_t a = rows.begin; a < rows.end; ++a)
                                 survey_.remoteness[a] +=
                                     kernels_.row_sum(tile.row(a - rows.begin), kRemotenessColumns);
                         }
                     });
    }
    [[nodiscard]] std::vector<std::unique_ptr<DistanceReader<Real>>> make_readers(std::size_t entries) const {
        std::vector<std::unique_ptr<DistanceReader<Real>>> readers;
        for (int w = 0; w < std::max(1, execution_.n_threads); ++w)
            readers.push_back(std::make_unique<DistanceReader<Real>>(distances_, entries, execution_.budget));
        return readers;
    }

    void find_enclosing_radius() {
        const auto nearest = std::min_element(farthest_.begin(), farthest_.end());
        if (*nearest > longest_finite_key<Real>) return;
        const auto centre = static_cast<std::size_t>(nearest - farthest_.begin());
        DistanceReader<Real> reader(distances_, n_, execution_.budget);
        const Real* const row = reader.tile({centre, centre + 1}, {0, n_}).data;
        std::size_t far = 0;
        while (far == centre || length_key(row[far]) != *nearest) ++far;
        survey_.enclosing = {length_of<Real>(*nearest),
                             {static_cast<Vertex>(std::min(centre, far)), static_cast<Vertex>(std::max(centre, far))}};
    }

    const Distances<Real>& distances_;
    const Execution& execution_;
    std::size_t n_;
    const RipsKernels<Real>& kernels_ = rips_kernels<Real>();
    Survey<Real> survey_;
    Buffer<Key> farthest_;
};

}  // namespace

template <class Real>
Survey<Real> survey_distances(const Distances<Real>& distances, const Execution& execution) {
    return SurveyRun<Real>(distances, execution).run();
}

std::size_t survey_bytes(std::size_t n, std::size_t real_size) {
    if (n < kFewestSurveyedPoints) return n * sizeof(double);
    const std::size_t bounds =
        real_size == sizeof(float) ? BlockBounds<float>::bytes(n) : BlockBounds<double>::bytes(n);
    return n * sizeof(double) + bounds;
}

std::size_t survey_scratch_bytes(std::size_t n, std::size_t real_size, bool resident, int n_threads) {
    const std::size_t group = BlockBounds<float>::group_size(n);
    const std::size_t columns = resident ? n : std::min(n, kTileColumns);
    const std::size_t worker = resident ? 2 * columns : group * columns + 2 * columns + n;
    return (n + static_cast<std::size_t>(n_threads) * worker) * real_size;
}

template Survey<float> survey_distances(const Distances<float>&, const Execution&);
template Survey<double> survey_distances(const Distances<double>&, const Execution&);

}  // namespace adabet
