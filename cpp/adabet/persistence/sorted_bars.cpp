#include "adabet/persistence/sorted_bars.hpp"

#include <algorithm>
#include <cstddef>
#include <tuple>

namespace adabet {

namespace {

constexpr std::size_t kComparisonsPerCheck = std::size_t{1} << 18;

}  // namespace

template <class Real>
void write_sorted(Buffer<Bar<Real>> bars, Barcode<Real>& barcode, const Execution& execution) {
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

template void write_sorted(Buffer<Bar<float>>, Barcode<float>&, const Execution&);
template void write_sorted(Buffer<Bar<double>>, Barcode<double>&, const Execution&);

}  // namespace adabet
