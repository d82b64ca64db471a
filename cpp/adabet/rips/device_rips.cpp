#include "adabet/rips/device_rips.hpp"

#include <algorithm>
#include <bit>
#include <tuple>
#include <type_traits>

namespace adabet {

namespace {

constexpr std::size_t kBlocksPerProcessor = 8;
constexpr std::size_t kFewestBlocks = 64;
constexpr std::size_t kEdgesPerPoint = 16;
constexpr std::size_t kFewestRecords = std::size_t{1} << 16;

std::size_t usual_records(std::size_t n) { return std::max(kFewestRecords, kEdgesPerPoint * n); }

std::size_t grid_of(std::size_t n, unsigned multiprocessors) {
    return std::min(std::max(kFewestBlocks, std::size_t{multiprocessors} * kBlocksPerProcessor), n);
}

template <class Real>
std::size_t words_of_bits(std::size_t n, std::size_t blocks) {
    using Kernel = CriticalKernel<Real>;
    return Kernel::fits_shared(n) ? 0 : blocks * Kernel::warps * 2 * Kernel::words(n);
}

}  // namespace

template <class Real>
std::size_t DeviceRips<Real>::bytes(std::size_t n, unsigned multiprocessors) {
    const std::size_t lists = usual_records(n) * std::max(sizeof(RankedEdge<Real>), sizeof(CriticalRecord<Real>));
    return sizeof(std::uint64_t) + lists + words_of_bits<Real>(n, grid_of(n, multiprocessors)) * sizeof(std::uint32_t);
}

template <class Real>
DeviceRips<Real>::DeviceRips(Device& device, LuneLaunches<Real>& launches, const DeviceMatrix<Real>& matrix,
                             const Execution& execution)
    : device_(device),
      launches_(launches),
      matrix_(matrix),
      execution_(execution),
      graph_capacity_(usual_records(matrix.n)),
      record_capacity_(usual_records(matrix.n)) {}

template <class Real>
std::size_t DeviceRips<Real>::grid() const {
    return grid_of(matrix_.n, device_.multiprocessors());
}

template <class Real>
void DeviceRips<Real>::find_ranges() {
    if (!most_.empty()) return;
    const DeviceArray<Key> keys(device_, execution_.budget, 2 * matrix_.n);
    launches_.launch(RowRangeKernel<Real>{matrix_, keys.data(), keys.data() + matrix_.n});
    least_.resize(matrix_.n);
    most_.resize(matrix_.n);
    device_.to_host(least_.data(), keys.data(), matrix_.n * sizeof(Key));
    device_.to_host(most_.data(), keys.data() + matrix_.n, matrix_.n * sizeof(Key));
    device_.synchronize();
}

template <class Real>
EnclosingRadius<Real> DeviceRips<Real>::enclosing_radius() {
    if (matrix_.n < 2) return {};
    find_ranges();
    const auto centre = std::min_element(most_.begin(), most_.end());
    if (*centre > longest_finite_key<Real>) return {};
    const auto row = static_cast<std::size_t>(centre - most_.begin());
    std::vector<Real> lengths(matrix_.n);
    device_.to_host(lengths.data(), matrix_.data + row * matrix_.stride, matrix_.n * sizeof(Real));
    device_.synchronize();
    std::size_t far = 0;
    while (far == row || length_key(lengths[far]) != *centre) ++far;
    return {length_of<Real>(*centre),
            {static_cast<Vertex>(std::min(row, far)), static_cast<Vertex>(std::max(row, far))}};
}

template <class Real>
template <class T, class Fill>
Buffer<T> DeviceRips<Real>::collect(std::size_t& capacity, MemoryBudget& host, const Fill& fill) {
    static_assert(std::has_unique_object_representations_v<T>, "kernels write no padding");
    const DeviceArray<std::uint64_t> counter(device_, execution_.budget, 1);
    for (;;) {
        execution_.check();
        const DeviceArray<T> items(device_, execution_.budget, capacity);
        device_.fill_zero(counter.data(), sizeof(std::uint64_t));
        fill(DeviceList<T>{items.data(), capacity, counter.data()});
        std::uint64_t count = 0;
        device_.to_host(&count, counter.data(), sizeof count);
        device_.synchronize();
        if (count > capacity) {
            capacity = count + count / 4;
            continue;
        }
        Buffer<T> found = make_buffer<T>(host, count);
        device_.to_host(found.data(), items.data(), count * sizeof(T));
        device_.synchronize();
        return found;
    }
}

template <class Real>
Buffer<RankedEdge<Real>> DeviceRips<Real>::relative_neighbourhood_graph(Key longest, MemoryBudget& host) {
    if (matrix_.n < 2) return make_buffer<RankedEdge<Real>>(host);
    auto edges = collect<RankedEdge<Real>>(graph_capacity_, host, [&](const DeviceList<RankedEdge<Real>>& list) {
        launches_.launch(NeighbourhoodKernel<Real>{matrix_, longest, list, grid()});
    });
    std::sort(edges.begin(), edges.end());
    return edges;
}

template <class Real>
auto DeviceRips<Real>::stretches(Key longest, std::size_t first_count, std::size_t growth) -> std::vector<Stretch> {
    using Kernel = HistogramKernel<Real>;
    using Unsigned = std::make_unsigned_t<Key>;
    if (matrix_.n < 2) return {};
    find_ranges();
    const Key low = *std::min_element(least_.begin(), least_.end());
    if (low > longest) return {};
    const auto width = static_cast<unsigned>(std::bit_width(static_cast<Unsigned>(longest - low)));
    constexpr unsigned bits = std::bit_width(Kernel::buckets) - 1;
    const unsigned shift = width > bits ? width - bits : 0;
    const DeviceArray<std::uint64_t> on_device(device_, execution_.budget, Kernel::buckets);
    device_.fill_zero(on_device.data(), Kernel::buckets * sizeof(std::uint64_t));
    launches_.launch(Kernel{matrix_, low, longest, shift, on_device.data(), grid()});
    std::vector<std::uint64_t> counts(Kernel::buckets);
    device_.to_host(counts.data(), on_device.data(), Kernel::buckets * sizeof(std::uint64_t));
    device_.synchronize();

    std::vector<Stretch> found;
    std::size_t edges = 0;
    std::size_t target = first_count;
    for (std::size_t k = 0; k < counts.size(); ++k) {
        edges += counts[k];
        const auto first_beyond = static_cast<Unsigned>(k + 1) << shift;
        const bool is_last = first_beyond > static_cast<Unsigned>(longest - low);
        if (edges >= target || is_last) {
            const Key last = is_last ? longest : static_cast<Key>(low + static_cast<Key>(first_beyond - 1));
            if (edges > 0) found.push_back({last, edges});
            edges = 0;
            target *= growth;
        }
        if (is_last) break;
    }
    return found;
}

template <class Real>
Buffer<CriticalRecord<Real>> DeviceRips<Real>::critical_edges(Key low, Key high, MemoryBudget& host) {
    using Kernel = CriticalKernel<Real>;
    const DeviceArray<std::uint32_t> bits(device_, execution_.budget, words_of_bits<Real>(matrix_.n, grid()));
    auto records =
        collect<CriticalRecord<Real>>(record_capacity_, host, [&](const DeviceList<CriticalRecord<Real>>& list) {
            launches_.launch(Kernel{matrix_, low, high, list, bits.data(), grid()});
        });
    std::sort(records.begin(), records.end(), [](const CriticalRecord<Real>& x, const CriticalRecord<Real>& y) {
        return std::tie(x.edge, x.component) < std::tie(y.edge, y.component);
    });
    return records;
}

template <class Real>
auto DeviceRips<Real>::apexes(std::span<const RankedEdge<Real>> edges, MemoryBudget& host) -> Buffer<Found> {
    static_assert(std::has_unique_object_representations_v<Found>, "kernels write no padding");
    execution_.check();
    const DeviceArray<RankedEdge<Real>> asked(device_, execution_.budget, edges.size());
    const DeviceArray<Found> answers(device_, execution_.budget, edges.size());
    auto found = make_buffer<Found>(host, edges.size());
    if (edges.empty()) return found;
    device_.to_device(asked.data(), edges.data(), edges.size_bytes());
    launches_.launch(ApexKernel<Real>{matrix_, asked.data(), edges.size(), answers.data()});
    device_.to_host(found.data(), answers.data(), edges.size() * sizeof(Found));
    device_.synchronize();
    return found;
}

template class DeviceRips<float>;
template class DeviceRips<double>;

}  // namespace adabet
