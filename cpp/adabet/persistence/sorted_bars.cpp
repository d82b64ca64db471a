#include "adabet/persistence/sorted_bars.hpp"

#include <algorithm>
#include <cstddef>
#include <tuple>

namespace adabet {

namespace {

constexpr std::size_t kComparisonsPerCheck = std::size_t{1} << 18;

/// Ends become the rows they stand for.
template <class Real>
void rename(Buffer<Bar<Real>>& bars, std::span<const Vertex> order) {
    const auto row = [&](Vertex v) { return order[static_cast<std::size_t>(v)]; };
    for (Bar<Real>& bar : bars) {
        const Vertex x = row(bar.birth.a);
        const Vertex y = row(bar.birth.b);
        bar.birth = {bar.birth.key, std::max(x, y), std::min(x, y)};
        if (bar.death_edge.a < 0) continue;
        const Vertex u = row(bar.death_edge.a);
        const Vertex v = row(bar.death_edge.b);
        bar.death_edge = {std::min(u, v), std::max(u, v)};
    }
}

}  // namespace

template <class Real>
void write_sorted(Buffer<Bar<Real>> bars, std::span<const Vertex> order, Barcode<Real>& barcode,
                  const Execution& execution) {
    if (!order.empty()) rename(bars, order);
    const auto key = [](const Bar<Real>& bar) {
        return std::tuple(bar.birth.key, bar.death, bar.birth.b, bar.birth.a);
    };
    std::size_t compared = 0;
    std::sort(bars.begin(), bars.end(), [&](const Bar<Real>& x, const Bar<Real>& y) {
        if (++compared % kComparisonsPerCheck == 0) execution.check();
        return key(x) < key(y);
    });
    barcode.intervals.reserve(bars.size());
    barcode.birth_edges.reserve(bars.size());
    barcode.death_edges.reserve(bars.size());
    for (const Bar<Real>& bar : bars) {
        barcode.intervals.push_back({bar.birth.length(), bar.death});
        barcode.birth_edges.push_back(bar.birth.edge());
        barcode.death_edges.push_back(bar.death_edge);
    }
}

template void write_sorted(Buffer<Bar<float>>, std::span<const Vertex>, Barcode<float>&, const Execution&);
template void write_sorted(Buffer<Bar<double>>, std::span<const Vertex>, Barcode<double>&, const Execution&);

}  // namespace adabet
