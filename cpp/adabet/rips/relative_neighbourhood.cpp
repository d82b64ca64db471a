#include "adabet/rips/relative_neighbourhood.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "adabet/rips/candidate_edges.hpp"
#include "adabet/rips/kernels.hpp"

namespace adabet {

namespace {

/// Below this, threads cost more than they bring.
constexpr std::size_t kThreadedPoints = 384;
constexpr std::size_t kComparisonsPerCheck = std::size_t{1} << 18;
/// Vertices that candidate edges are tested against at once, where distances are made anew.
constexpr std::size_t kPanelColumns = 64;

/// Whether some vertex makes a triangle with the edge out of earlier edges; by rows of a matrix.
template <class Real>
bool has_lune(const DistanceMatrix<Real>& matrix, const BlockBounds<Real>& bounds, const RankedEdge<Real>& edge) {
    const RipsKernels<Real>& kernels = rips_kernels<Real>();
    const Real* const row_a = matrix.row(static_cast<std::size_t>(edge.a));
    const Real* const row_b = matrix.row(static_cast<std::size_t>(edge.b));
    if (!bounds.known()) return kernels.lune_has(row_a, row_b, edge, 0, matrix.n, 0);
    const LengthKey<Real>* const least_a = bounds.least(bounds.group_of(static_cast<std::size_t>(edge.a)));
    const LengthKey<Real>* const least_b = bounds.least(bounds.group_of(static_cast<std::size_t>(edge.b)));
    return kernels.lune_has_in_groups(row_a, row_b, edge, least_a, least_b, bounds.groups(), bounds.group(), matrix.n);
}

/// Tests candidate edges against all vertices, a panel of these at a time.
template <class Real>
class PanelTest {
public:
    PanelTest(const Distances<Real>& distances, const BlockBounds<Real>& bounds, Buffer<RankedEdge<Real>>& edges,
              const Execution& execution)
        : distances_(distances),
          bounds_(bounds),
          edges_(edges),
          execution_(execution),
          is_out_(make_buffer<std::uint8_t>(execution.budget, edges.size(), 0)) {}

    /// Leaves the edges without a lune.
    void run() {
        test_by_panels();
        std::size_t kept = 0;
        for (std::size_t i = 0; i < edges_.size(); ++i)
            if (is_out_[i] == 0) edges_[kept++] = edges_[i];
        edges_.resize(kept);
    }

private:
    struct Worker {
        DistanceReader<Real> reader;
        Buffer<Real> panel;              ///< rows of the groups that are needed, kPanelColumns wide
        Buffer<std::size_t> row_of;      ///< where each group's rows are
        Buffer<std::size_t> needed;      ///< those groups
        Buffer<std::size_t> candidates;  ///< edges that may have a vertex of the panel in their lune
    };

    /// A panel at a time of the vertices, each against the edges that its distance does not settle.
    void test_by_panels() {
        const std::size_t n = distances_.n();
        std::vector<std::unique_ptr<Worker>> workers;
        MemoryBudget& budget = execution_.budget;
        for (int w = 0; w < std::max(1, execution_.n_threads); ++w)
            workers.push_back(std::make_unique<Worker>(Worker{{distances_, kRowsPerRead * kPanelColumns, budget},
                                                              make_buffer<Real>(budget, n * kPanelColumns),
                                                              make_buffer<std::size_t>(budget, groups()),
                                                              make_buffer<std::size_t>(budget),
                                                              make_buffer<std::size_t>(budget)}));
        find_group_ends();
        parallel_for(execution_, (n + kPanelColumns - 1) / kPanelColumns,
                     [&](std::size_t task, int worker, const Execution& own) {
                         test_panel({task * kPanelColumns, std::min(n, (task + 1) * kPanelColumns)},
                                    *workers[static_cast<std::size_t>(worker)], own);
                     });
    }
    /// Without bounds all points are one group.
    [[nodiscard]] std::size_t groups() const { return bounds_.known() ? bounds_.groups() : 1; }
    [[nodiscard]] std::size_t group_of(Vertex v) const {
        return bounds_.known() ? bounds_.group_of(static_cast<std::size_t>(v)) : 0;
    }
    [[nodiscard]] PointRange points(std::size_t group) const {
        return bounds_.known() ? bounds_.points(group) : PointRange{0, distances_.n()};
    }
    [[nodiscard]] LengthKey<Real> least(std::size_t group, PointRange panel) const {
        if (!bounds_.known()) return 0;
        LengthKey<Real> nearest = longest_finite_key<Real>;
        for (std::size_t g = bounds_.group_of(panel.begin); g * bounds_.group() < panel.end; ++g)
            nearest = std::min(nearest, bounds_.least(group)[g]);
        return nearest;
    }

    /// Candidates come by the group of the smaller end, so those of one group are a stretch; the longest first, so that a
    /// panel looks at no more of them than it can settle.
    void find_group_ends() {
        std::size_t compared = 0;
        std::sort(edges_.begin(), edges_.end(), [&](const RankedEdge<Real>& x, const RankedEdge<Real>& y) {
            if (++compared % kComparisonsPerCheck == 0) execution_.check();
            const std::size_t gx = group_of(x.a);
            const std::size_t gy = group_of(y.a);
            return gx < gy || (gx == gy && y < x);
        });
        stretch_ = make_buffer<Stretch>(execution_.budget, groups(), Stretch{});
        for (std::size_t i = 0; i < edges_.size(); ++i) {
            Stretch& stretch = stretch_[group_of(edges_[i].a)];
            if (stretch.end == 0) stretch.begin = i;
            stretch.end = i + 1;
        }
    }

    void test_panel(PointRange panel, Worker& mine, const Execution& own) {
        constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);
        mine.needed.clear();
        mine.candidates.clear();
        std::fill(mine.row_of.begin(), mine.row_of.end(), kNowhere);
        const auto need = [&](std::size_t group) {
            if (mine.row_of[group] != kNowhere) return;
            mine.row_of[group] = 0;
            mine.needed.push_back(group);
        };
        for (std::size_t group = 0; group < stretch_.size(); ++group) {
            const Stretch& stretch = stretch_[group];
            if (stretch.end == 0) continue;
            const LengthKey<Real> to_a = least(group, panel);
            for (std::size_t i = stretch.begin; i < stretch.end && edges_[i].key >= to_a; ++i) {
                if (is_out(i)) continue;
                const std::size_t other = group_of(edges_[i].b);
                if (least(other, panel) > edges_[i].key) continue;
                mine.candidates.push_back(i);
                need(group);
                need(other);
            }
        }
        read_rows(panel, mine, own);
        std::size_t looked = 0;
        for (const std::size_t i : mine.candidates) {
            if (++looked % 4096 == 0) own.check();
            const RankedEdge<Real>& edge = edges_[i];
            if (is_out(i) ||
                !kernels_.lune_has(row(edge.a, mine), row(edge.b, mine), edge, panel.begin, panel.end, panel.begin))
                continue;
            std::atomic_ref<std::uint8_t>(is_out_[i]).store(1, std::memory_order_relaxed);
        }
    }
    [[nodiscard]] bool is_out(std::size_t i) {
        return std::atomic_ref<std::uint8_t>(is_out_[i]).load(std::memory_order_relaxed) != 0;
    }
    [[nodiscard]] const Real* row(Vertex v, const Worker& mine) const {
        const std::size_t group = group_of(v);
        return mine.panel.data() +
               (mine.row_of[group] + static_cast<std::size_t>(v) - points(group).begin) * kPanelColumns;
    }

    /// Distances of the groups that are needed from the panel's vertices, neighbouring groups at once.
    void read_rows(PointRange panel, Worker& mine, const Execution& own) {
        std::sort(mine.needed.begin(), mine.needed.end());
        std::size_t at = 0;
        for (std::size_t k = 0; k < mine.needed.size();) {
            PointRange rows = points(mine.needed[k]);
            mine.row_of[mine.needed[k]] = at;
            std::size_t next = k + 1;
            for (; next < mine.needed.size() && points(mine.needed[next]).begin == rows.end; ++next) {
                mine.row_of[mine.needed[next]] = at + rows.size();
                rows.end = points(mine.needed[next]).end;
            }
            for (std::size_t begin = rows.begin; begin < rows.end; begin += kRowsPerRead) {
                own.check();
                const PointRange some{begin, std::min(rows.end, begin + kRowsPerRead)};
                const Tile<Real> tile = mine.reader.tile(some, panel);
                for (std::size_t i = 0; i < some.size(); ++i)
                    std::copy_n(tile.row(i), panel.size(), mine.panel.data() + (at + i) * kPanelColumns);
                at += some.size();
            }
            k = next;
        }
    }

    static constexpr std::size_t kRowsPerRead = 512;
    struct Stretch {
        std::size_t begin = 0;
        std::size_t end = 0;
    };

    const Distances<Real>& distances_;
    const BlockBounds<Real>& bounds_;
    Buffer<RankedEdge<Real>>& edges_;
    const Execution& execution_;
    const RipsKernels<Real>& kernels_ = rips_kernels<Real>();
    Buffer<std::uint8_t> is_out_;
    Buffer<Stretch> stretch_ = make_buffer<Stretch>(execution_.budget);
};

}  // namespace

template <class Real>
Buffer<RankedEdge<Real>> relative_neighbourhood_graph(const Distances<Real>& distances, const Survey<Real>& survey,
                                                      LengthKey<Real> longest, const Execution& execution) {
    const int n_threads = distances.n() < kThreadedPoints ? 1 : std::max(1, execution.n_threads);
    const Execution limited{execution.budget, n_threads, execution.checkpoint};
    std::function<bool(const RankedEdge<Real>&)> is_out;
    if (distances.is_resident())
        is_out = [&](const RankedEdge<Real>& edge) { return has_lune(distances.matrix(), survey.bounds, edge); };
    Buffer<RankedEdge<Real>> edges = candidate_edges(distances, survey, longest, is_out, limited);
    if (!distances.is_resident()) PanelTest<Real>(distances, survey.bounds, edges, limited).run();
    std::size_t compared = 0;
    std::sort(edges.begin(), edges.end(), [&](const RankedEdge<Real>& x, const RankedEdge<Real>& y) {
        if (++compared % kComparisonsPerCheck == 0) execution.check();
        return x < y;
    });
    return edges;
}

std::size_t relative_neighbourhood_bytes(std::size_t n, std::size_t real_size, bool resident, int n_threads) {
    const std::size_t panels = resident ? 0 : static_cast<std::size_t>(n_threads) * n * kPanelColumns * real_size;
    return std::max(candidate_edges_bytes(n, real_size, resident, n_threads), panels);
}

template Buffer<RankedEdge<float>> relative_neighbourhood_graph(const Distances<float>&, const Survey<float>&,
                                                                LengthKey<float>, const Execution&);
template Buffer<RankedEdge<double>> relative_neighbourhood_graph(const Distances<double>&, const Survey<double>&,
                                                                 LengthKey<double>, const Execution&);

}  // namespace adabet
