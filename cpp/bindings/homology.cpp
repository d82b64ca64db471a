#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "adabet/persistence/batch.hpp"
#include "adabet/persistence/h1.hpp"
#include "adabet/persistence/representatives.hpp"
#include "adabet/persistence/sparse_h1.hpp"
#include "bindings/barcodes.hpp"
#include "bindings/execution.hpp"
#include "bindings/inputs.hpp"
#include "bindings/register.hpp"

namespace py = pybind11;

namespace adabet::bindings {

namespace {

std::size_t betti1(const py::object& x, bool distance_matrix, const std::string& metric, double threshold,
                   double min_persistence, const std::string& dtype, int n_threads, std::size_t max_memory) {
    const Input input(x, distance_matrix);
    const Metric chosen = metric_from_name(metric);
    const Call call(max_memory, n_threads);
    return with_real(dtype, [&](auto kind) {
        using Real = decltype(kind);
        const GilReleased no_gil;
        if (const SparseEntries* const graph = input.graph(sizeof(Real), call.execution)) {
            return count_bars_of_graph<Real>(*graph, to_real<Real>(threshold), to_real<Real>(min_persistence),
                                             call.execution);
        }
        const HeldDistances<Real> held = input.distances<Real>(chosen, call.execution, {}, std::isfinite(threshold));
        return count_bars<Real>(held.distances(), to_real<Real>(threshold), to_real<Real>(min_persistence),
                                call.execution);
    });
}

/// Whether matrices are shared out among threads whole: if there are enough of them, so small that threads within one gain
/// little, and what each takes is nothing beside the limit.
bool counts_whole_matrices(const std::vector<Input>& inputs, const Execution& execution) {
    constexpr std::size_t most_points = 512;
    constexpr std::size_t a_thread = std::size_t{64} << 20U;
    const auto threads = static_cast<std::size_t>(execution.n_threads);
    return threads > 1 && inputs.size() >= 2 * threads && execution.budget.limit() / threads >= a_thread &&
           std::all_of(inputs.begin(), inputs.end(), [](const Input& input) { return input.n() <= most_points; });
}

template <class Real>
void count_matrices(const std::vector<Input>& inputs, Real threshold, Real min_persistence, std::size_t* out,
                    const Execution& execution) {
    const auto count = [&](std::size_t i, int /*worker*/, const Execution& own) {
        try {
            if (const SparseEntries* const graph = inputs[i].graph(sizeof(Real), own)) {
                out[i] = count_bars_of_graph(*graph, threshold, min_persistence, own);
            } else {
                const HeldDistances<Real> held = inputs[i].distances<Real>(Metric::euclidean, own);
                out[i] = count_bars(held.distances(), threshold, min_persistence, own);
            }
        } catch (const InvalidInput& e) {
            throw InvalidInput("cloud " + std::to_string(i) + ": " + e.what());
        }
        own.check();
    };
    if (counts_whole_matrices(inputs, execution)) return parallel_for(execution, inputs.size(), count);
    for (std::size_t i = 0; i < inputs.size(); ++i) count(i, 0, execution);
}

py::array_t<std::int64_t> betti1_batch(const py::object& xs, bool distance_matrix, const std::string& metric,
                                       double threshold, double min_persistence, const std::string& dtype,
                                       int n_threads, std::size_t max_memory) {
    const std::vector<Input> inputs = read_clouds(xs, distance_matrix);
    const Metric chosen = metric_from_name(metric);
    const Call call(max_memory, n_threads);
    std::vector<std::size_t> counts(inputs.size());
    with_real(dtype, [&](auto kind) {
        using Real = decltype(kind);
        const GilReleased no_gil;
        if (distance_matrix) {
            count_matrices<Real>(inputs, to_real<Real>(threshold), to_real<Real>(min_persistence), counts.data(),
                                 call.execution);
            return;
        }
        std::vector<PointCloud> clouds;
        clouds.reserve(inputs.size());
        for (const Input& input : inputs) clouds.push_back(input.points());
        adabet::betti1_batch<Real>(clouds, chosen, to_real<Real>(threshold), to_real<Real>(min_persistence),
                                   counts.data(), call.execution);
    });
    py::array_t<std::int64_t> out(static_cast<py::ssize_t>(counts.size()));
    std::copy(counts.begin(), counts.end(), out.mutable_data());
    return out;
}

template <class Real>
py::array intervals_array(const std::vector<Interval<Real>>& intervals) {
    static_assert(sizeof(Interval<Real>) == 2 * sizeof(Real));
    py::array_t<Real> out({static_cast<py::ssize_t>(intervals.size()), py::ssize_t{2}});
    if (!intervals.empty())
        std::memcpy(out.mutable_data(), intervals.data(), intervals.size() * sizeof(Interval<Real>));
    return out;
}

py::array edges_array(const std::vector<Edge>& edges) {
    py::array_t<std::int64_t> out({static_cast<py::ssize_t>(edges.size()), py::ssize_t{2}});
    std::int64_t* to = out.mutable_data();
    for (const Edge& edge : edges) {
        *to++ = edge.a;
        *to++ = edge.b;
    }
    return out;
}

/// For each interval a list of one array of vertices.
template <class Real>
py::list loops_list(const Barcode<Real>& barcode) {
    py::list bars;
    std::size_t begin = 0;
    for (const std::size_t end : barcode.loop_ends) {
        py::array_t<std::int64_t> loop(static_cast<py::ssize_t>(end - begin));
        std::copy_n(barcode.loop_vertices.begin() + static_cast<std::ptrdiff_t>(begin), end - begin,
                    loop.mutable_data());
        py::list loops;
        loops.append(loop);
        bars.append(loops);
        begin = end;
    }
    return bars;
}

/// Finite bars by rising death, then one infinite bar a component.
template <class Real>
py::array h0_array(const Barcode<Real>& barcode) {
    std::vector<Interval<Real>> bars;
    bars.reserve(barcode.h0_deaths.size() + barcode.components);
    for (const Real death : barcode.h0_deaths) bars.push_back({Real(0), death});
    bars.insert(bars.end(), barcode.components, Interval<Real>{Real(0), infinity<Real>});
    return intervals_array(bars);
}

py::dict stats_dict(const Stats& stats, double seconds_distances, std::size_t peak_bytes) {
    py::dict out;
    out["seconds_distances"] = seconds_distances;
    out["seconds_survey"] = stats.seconds_survey;
    out["seconds_rng"] = stats.seconds_rng;
    out["seconds_edges"] = stats.seconds_edges;
    out["seconds_lunes"] = stats.seconds_lunes;
    out["seconds_columns"] = stats.seconds_columns;
    out["edges"] = stats.edges;
    out["births"] = stats.births;
    out["critical_cells"] = stats.critical_cells;
    out["peak_bytes"] = peak_bytes;
    return out;
}

}  // namespace

template <class Real>
py::dict barcode_dict(const Barcode<Real>& barcode, std::size_t n, const std::string& plan, double seconds_distances,
                      std::size_t peak_bytes) {
    py::dict out;
    out["intervals"] = intervals_array(barcode.intervals);
    out["birth_edges"] = edges_array(barcode.birth_edges);
    out["death_edges"] = edges_array(barcode.death_edges);
    out["h0"] = h0_array(barcode);
    out["n"] = n;
    out["enclosing_radius"] = static_cast<double>(barcode.enclosing_radius);
    out["plan"] = plan;
    out["stats"] = stats_dict(barcode.stats, seconds_distances, peak_bytes);
    return out;
}

template py::dict barcode_dict(const Barcode<float>&, std::size_t, const std::string&, double, std::size_t);
template py::dict barcode_dict(const Barcode<double>&, std::size_t, const std::string&, double, std::size_t);

namespace {

const char* name_of(PlanKind kind) {
    switch (kind) {
        case PlanKind::streamed:
            return "streamed";
        case PlanKind::sparse:
            return "sparse";
        case PlanKind::dense:
            break;
    }
    return "dense";
}

PlanChoice plan_from_name(const std::string& name) {
    if (name == "auto") return {};
    if (name == "dense") return PlanKind::dense;
    if (name == "streamed") return PlanKind::streamed;
    if (name == "sparse") return PlanKind::sparse;
    throw InvalidInput("plan is '" + name + "', expected 'auto', 'dense', 'streamed' or 'sparse'");
}

py::dict h1(const py::object& x, bool distance_matrix, const std::string& metric, double threshold,
            const std::string& dtype, int n_threads, std::size_t max_memory, const std::string& plan,
            bool representatives, const py::object& report) {
    const Input input(x, distance_matrix);
    const Metric chosen = metric_from_name(metric);
    const Call call(max_memory, n_threads, report);
    return with_real(dtype, [&](auto kind) {
        using Real = decltype(kind);
        std::optional<Barcode<Real>> barcode;
        double seconds_distances = 0;
        {
            const GilReleased no_gil;
            const auto start = std::chrono::steady_clock::now();
            const PlanChoice choice = plan_from_name(plan);
            if (const SparseEntries* const graph = input.graph(sizeof(Real), call.execution, choice)) {
                barcode = h1_of_graph(*graph, to_real<Real>(threshold), call.execution);
                if (representatives) add_representatives(*graph, to_real<Real>(threshold), *barcode, call.execution);
            } else {
                const HeldDistances<Real> held =
                    input.distances<Real>(chosen, call.execution, choice, std::isfinite(threshold));
                seconds_distances = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
                barcode = adabet::h1(held.distances(), to_real<Real>(threshold), call.execution,
                                     H1Options{held.order(), representatives, choice});
            }
        }
        py::dict out =
            barcode_dict(*barcode, input.n(), name_of(barcode->plan), seconds_distances, call.execution.budget.peak());
        if (representatives) out["representatives"] = loops_list(*barcode);
        return out;
    });
}

py::tuple plan(std::size_t n, std::optional<std::size_t> d, std::optional<std::size_t> n_edges,
               const std::string& metric, const std::string& dtype, int n_threads, std::size_t max_memory) {
    const Metric chosen = metric_from_name(metric);
    const MemoryPlan found = with_real(dtype, [&](auto kind) {
        const std::size_t real_size = sizeof(kind);
        if (n_edges) return plan_for_graph(n, *n_edges, *n_edges, real_size, n_threads, max_memory);
        if (!d) return plan_for_matrix(n, false, real_size, n_threads, max_memory);
        MemoryPlan most;  // over the scalar types, whose conversions need different memory
        for (const ScalarType scalar :
             {ScalarType::float16, ScalarType::float32, ScalarType::float64, ScalarType::int64}) {
            const PointCloud points{nullptr, scalar, n, *d, static_cast<std::ptrdiff_t>(*d), 1};
            const MemoryPlan one = plan_for_points(points, chosen, real_size, n_threads, max_memory);
            if (one.fixed >= most.fixed) most = one;
        }
        return most;
    });
    return py::make_tuple(name_of(found.kind), found.fixed);
}

}  // namespace

void register_homology(py::module_& module) {
    module.def("betti1", &betti1, py::arg("x"), py::kw_only(), py::arg("distance_matrix"), py::arg("metric"),
               py::arg("threshold"), py::arg("min_persistence"), py::arg("dtype"), py::arg("n_threads"),
               py::arg("max_memory"), "Number of H1 bars longer than min_persistence.");
    module.def("betti1_batch", &betti1_batch, py::arg("xs"), py::kw_only(), py::arg("distance_matrix"),
               py::arg("metric"), py::arg("threshold"), py::arg("min_persistence"), py::arg("dtype"),
               py::arg("n_threads"), py::arg("max_memory"), "betti1 of each cloud of a list, or of a stack (b, n, d).");
    module.def("h1", &h1, py::arg("x"), py::kw_only(), py::arg("distance_matrix"), py::arg("metric"),
               py::arg("threshold"), py::arg("dtype"), py::arg("n_threads"), py::arg("max_memory"), py::arg("plan"),
               py::arg("representatives"), py::arg("report"),
               "The barcode: intervals, birth_edges, death_edges, h0, n, enclosing_radius, plan, stats.");
    module.def("plan", &plan, py::arg("n"), py::arg("d"), py::arg("n_edges"), py::kw_only(), py::arg("metric"),
               py::arg("dtype"), py::arg("n_threads"), py::arg("max_memory"),
               "The plan for n points in d coordinates (None: a distance matrix that is copied), or for a graph with "
               "n_edges edges, and its fixed bytes.");
}

}  // namespace adabet::bindings
