#include "adabet/persistence/device_h1.hpp"

#include <algorithm>

#include "adabet/persistence/prepared_filtration.hpp"
#include "adabet/persistence/reduction.hpp"
#include "adabet/persistence/sorted_bars.hpp"
#include "adabet/persistence/stopwatch.hpp"
#include "adabet/persistence/window.hpp"

namespace adabet {

namespace {

constexpr std::size_t kFirstStretchFactor = 8;
constexpr std::size_t kFirstStretch = std::size_t{1} << 16;
constexpr std::size_t kStretchGrowth = 4;
/// Records whose flows are made ready at once: runs that end early should not ask for much in vain.
constexpr std::size_t kRecordsAtOnce = std::size_t{1} << 15;

/// Kills classes stretch by stretch, until none is left or no edge is.
template <class Real>
Buffer<Bar<Real>> find_bars(DeviceRips<Real>& rips, const Births<Real>& births, const Window<Real>& window,
                            Stats& stats, const Execution& execution) {
    if (births.size() == 0) return make_buffer<Bar<Real>>(execution.budget);
    Stopwatch watch;
    PreparedFiltration<Real> filtration(
        [&](std::span<const RankedEdge<Real>> edges) {
            const auto found = rips.apexes(edges, execution.budget);
            auto apexes = make_buffer<Apex<Real>>(execution.budget, found.size());
            std::transform(found.begin(), found.end(), apexes.begin(), [](const auto& one) {
                return Apex<Real>{static_cast<Vertex>(one.vertex), one.to_a, one.to_b};
            });
            return apexes;
        },
        births, execution);
    Reduction<Real> reduction(filtration, births, stats, execution);
    std::vector<Vertex> representatives;
    const std::size_t first = std::max(kFirstStretch, kFirstStretchFactor * rips.n());
    LengthKey<Real> low = 0;
    for (const auto& stretch : rips.stretches(window.longest_birth, first, kStretchGrowth)) {
        if (reduction.all_dead()) break;
        watch.lap(stats.seconds_edges);
        const auto records = rips.critical_edges(low, stretch.last, execution.budget);
        stats.edges += stretch.edges;
        low = stretch.last + 1;
        watch.lap(stats.seconds_lunes);
        for (std::size_t begin = 0; begin < records.size() && !reduction.all_dead();) {
            std::size_t end = std::min(records.size(), begin + kRecordsAtOnce);
            while (end < records.size() && records[end].component != 0) ++end;
            filtration.prepare({records.data() + begin, end - begin});
            for (std::size_t i = begin; i < end && !reduction.all_dead();) {
                const RankedEdge<Real> edge = records[i].edge;
                representatives.clear();
                representatives.push_back(records[i].vertex);
                for (++i; i < end && records[i].component != 0; ++i) representatives.push_back(records[i].vertex);
                reduction.kill(edge, representatives);
            }
            begin = end;
        }
        watch.lap(stats.seconds_columns);
    }
    if (window.is_cone)
        reduction.end_all(window.enclosing.radius, window.enclosing.edge);
    else
        reduction.end_all(infinity<Real>, Edge{});
    return reduction.take_bars();
}

}  // namespace

template <class Real>
Barcode<Real> h1_on_device(DeviceRips<Real>& rips, Real threshold, const Execution& execution) {
    Barcode<Real> barcode;
    Stopwatch watch;
    const Window<Real> window = filtration_window(rips.enclosing_radius(), threshold);
    const auto graph = rips.relative_neighbourhood_graph(window.longest, execution.budget);
    const Births<Real> births(graph, rips.n(), window.longest_birth, execution.budget);
    barcode.enclosing_radius = window.enclosing.radius;
    barcode.components = births.components();
    for (const Real length : births.merges())
        if (length > 0) barcode.h0_deaths.push_back(length);
    barcode.stats.births = births.size();
    watch.lap(barcode.stats.seconds_rng);
    write_sorted(find_bars(rips, births, window, barcode.stats, execution), {}, barcode, execution);
    barcode.stats.peak_bytes = execution.budget.peak();
    return barcode;
}

template <class Real>
std::size_t count_bars_on_device(DeviceRips<Real>& rips, Real threshold, Real min_persistence,
                                 const Execution& execution) {
    if (min_persistence > 0) {
        const Barcode<Real> barcode = h1_on_device(rips, threshold, execution);
        return static_cast<std::size_t>(
            std::count_if(barcode.intervals.begin(), barcode.intervals.end(),
                          [min_persistence](const auto& bar) { return bar.death - bar.birth > min_persistence; }));
    }
    Window<Real> window = filtration_window(rips.enclosing_radius(), threshold);
    const auto graph = rips.relative_neighbourhood_graph(window.longest, execution.budget);
    const Births<Real> births(graph, rips.n(), window.longest_birth, execution.budget);
    if (births.size() == 0) return 0;
    // Beyond the last birth there is no bar of length zero: what is left then is a bar.
    window.longest_birth = births.edges().back().key;
    Stats stats;
    return find_bars(rips, births, window, stats, execution).size();
}

template Barcode<float> h1_on_device(DeviceRips<float>&, float, const Execution&);
template Barcode<double> h1_on_device(DeviceRips<double>&, double, const Execution&);
template std::size_t count_bars_on_device(DeviceRips<float>&, float, float, const Execution&);
template std::size_t count_bars_on_device(DeviceRips<double>&, double, double, const Execution&);

}  // namespace adabet
