// Which block and thread works on which pair: every pair once, no overflow where n^2 passes 32 bits.

#include <algorithm>
#include <array>
#include <set>
#include <utility>
#include <vector>

#include "adabet/metric/device_panels.hpp"
#include "adabet/metric/few_rows_device.hpp"
#include "adabet/metric/pair_maps.hpp"
#include "adabet/metric/tile_device.hpp"
#include "check.hpp"

namespace {

using namespace adabet;
using namespace adabet::pair_maps;

// Past these, n^2 leaves int32, edges int32, n^2 / 2 uint32 and int32 again; then what 2^31 points would ask for.
constexpr std::array<Index, 7> sizes{46'340, 46'341, 65'536, 65'537, 92'682, 92'683, 2'147'483'647};

void places_of_a_triangle() {
    Index index = 0;
    for (Index column = 0; column < 2000; ++column)
        for (Index row = 0; row <= column; ++row, ++index) {
            const Place place = triangle_place(index);
            if (place.row != row || place.column != column) CHECK_EQ(index, triangle(column) + row);
        }
    CHECK_EQ(index, triangle(2000));
    for (const Index n : sizes)
        for (const Index column : {n - 1, n - 2, n / 2, n / 3})
            for (const Index row : {Index{0}, Index{1}, column / 2, column}) {
                const Place place = triangle_place(triangle(column) + row);
                CHECK_EQ(place.row, row);
                CHECK_EQ(place.column, column);
            }
}

/// Walks every block and thread of a launch of tiles.
void the_whole_grid(std::size_t n) {
    using Kernel = TileKernel<float, SumOfSquares, false>;
    const TileGrid grid{chain::ceil_div(n, Kernel::edge), 0};
    std::vector<unsigned char> seen(n * n, 0);
    for (Index tile = 0; tile < grid.size(); ++tile) {
        const Place place = grid.place(tile);
        for (unsigned thread = 0; thread < Kernel::threads; ++thread)
            for (unsigned p = 0; p < Kernel::pairs * Kernel::pairs; ++p) {
                const auto at = Kernel::pair_of(thread, p);
                const std::size_t i = place.row * Kernel::edge + at.row;
                const std::size_t j = place.column * Kernel::edge + at.column;
                if (i < n && j < n && i <= j) ++seen[i * n + j];
            }
    }
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j) wrong += seen[i * n + j] != (i <= j ? 1 : 0);
    CHECK_EQ(wrong, 0);
}

/// Of large grids every tile, and every pair of the last tiles.
void large_grids() {
    using Kernel = TileKernel<float, SumOfSquares, false>;
    for (const Index n : sizes) {
        if (n > 100'000) continue;
        const TileGrid grid{chain::ceil_div(n, Kernel::edge), 0};
        Index tile = 0;
        std::size_t wrong = 0;
        for (Index column = 0; column < grid.rows; ++column)
            for (Index row = 0; row <= column; ++row, ++tile) {
                const Place place = grid.place(tile);
                wrong += place.row != row || place.column != column;
            }
        CHECK_EQ(wrong, 0);
        CHECK_EQ(tile, grid.size());
        const Place last = grid.place(tile - 1);
        Index most = 0;
        for (unsigned thread = 0; thread < Kernel::threads; ++thread)
            for (unsigned p = 0; p < Kernel::pairs * Kernel::pairs; ++p) {
                const auto at = Kernel::pair_of(thread, p);
                const Index i = last.row * Kernel::edge + at.row;
                const Index j = last.column * Kernel::edge + at.column;
                if (i < n && j < n) most = std::max(most, i * n + j);
            }
        CHECK_EQ(most, n * n - 1);
    }
    const TileGrid rectangle{7, 1451};
    std::set<std::pair<Index, Index>> places;
    for (Index tile = 0; tile < rectangle.size(); ++tile) {
        const Place place = rectangle.place(tile);
        CHECK(place.row < 7 && place.column < 1451);
        places.insert({place.row, place.column});
    }
    CHECK_EQ(places.size(), 7 * 1451);
}

/// Rectangles of a large matrix: which pairs they take, where these go, and back. A panel of all columns, and the last rows.
void panels() {
    for (const Index n : sizes) {
        for (const Index rows : {Index{64}, Index{1}, n / 3, n}) {
            const Index first_row = n - rows;
            for (const Index first_column : {Index{0}, n - 1, n / 2}) {
                PairSink sink;
                sink.n = n;
                sink.first_row = first_row;
                sink.first_column = first_column;
                sink.rows = rows;
                sink.columns = n - first_column;
                sink.stride = sink.columns + 5;
                CHECK_EQ(sink.entries(), rows * sink.columns);
                for (const Index i : {first_row, first_row + rows / 2, n - 1})
                    for (const Index j : {first_column, (first_column + n) / 2, n - 1}) {
                        CHECK(sink.takes(i, j));
                        CHECK_EQ(sink.place(i, j), (i - first_row) * (sink.columns + 5) + (j - first_column));
                        const Place pair = sink.pair_of((i - first_row) * sink.columns + (j - first_column));
                        CHECK_EQ(pair.row, i);
                        CHECK_EQ(pair.column, j);
                    }
                CHECK(!sink.takes(n, first_column) && !sink.takes(first_row, n) && !sink.takes(n + 63, n + 63));
                if (first_row > 0) CHECK(!sink.takes(first_row - 1, first_column));
                if (first_column > 0) CHECK(!sink.takes(first_row, first_column - 1));
            }
        }
        PairSink whole;
        whole.n = n;
        whole.stride = n;
        CHECK(whole.is_whole() && whole.takes(0, n - 1) && !whole.takes(1, 0) && !whole.takes(0, n));
        CHECK_EQ(whole.entries(), n * n);
        CHECK_EQ(whole.place(n - 1, n - 1), n * n - 1);
        CHECK_EQ(whole.pair_of(n * n - 2).column, n - 2);
    }
    // What is asked of a device for such sizes: whole tiles, and never more than it may take.
    for (const Index n : {Index{46'341}, Index{65'537}, Index{92'683}}) {
        const PointCloud points{nullptr, ScalarType::float32, n, 512, 512, 1};
        for (const Index available : {Index{1} << 26, Index{1} << 28, Index{1} << 30, Index{1} << 34}) {
            const PanelLayout layout = panel_layout(points, Metric::euclidean, sizeof(float), 0, available);
            CHECK(layout.bytes <= available);
            CHECK(layout.rows % 64 == 0 && layout.rows >= 64);
            CHECK(layout.is_packed_once ? layout.columns == n : layout.columns == layout.rows);
            CHECK(layout.rows * layout.columns * sizeof(float) <= layout.bytes);
        }
    }
}

void packed_places() {
    for (std::size_t lane = 0; lane < chain::lanes; ++lane) CHECK_EQ(lane_of_leaf(lane_of_leaf(lane)), lane);
    for (const std::size_t d : {65UL, 96UL, 512UL, 1023UL, 1024UL, 1025UL, 3000UL, 9000UL}) {
        std::vector<int> seen(packed_columns(d), 0);
        for (std::size_t k = 0; k < chain::n_chunks(d) * chain::chunk_columns; ++k) {
            const std::size_t chunk = k / chain::chunk_columns;
            const std::size_t step = k / chain::lanes % chain::steps;
            if (step < steps_of_chunk(chunk, d)) ++seen[packed_place(chunk, step, k % chain::lanes, d)];
        }
        CHECK(seen == std::vector<int>(seen.size(), 1));
        CHECK(seen.size() >= d && seen.size() < d + chain::lanes);
        CHECK_EQ(packed_start(0, d), 0);
        CHECK_EQ(packed_start(chain::n_chunks(d), d), packed_columns(d));
        const std::size_t steps = steps_of_chunk(chain::n_chunks(d) - 1, d);
        CHECK_EQ(chain::lanes % leaves_of_stage(steps), 0);
        CHECK(leaves_of_stage(steps) * steps <= chain::steps);
    }
    // 65,537 rows of 100,003 packed coordinates: addresses past 32 bits.
    CHECK_EQ(packed_place(97, 0, 31, 100'003) * 65'600 + 65'536, (97 * 1024ULL + 31 * 22) * 65'600 + 65'536);
}

void few_rows() {
    using Kernel = FewRowsKernel<float>;
    for (std::size_t n = 1; n <= Kernel::most_rows; ++n) {
        const std::size_t tiles = Kernel::n_tiles(n);
        CHECK_EQ(tiles, triangle(chain::ceil_div(n, 8)));
        CHECK(Kernel::shares(n) * Kernel::warps >= tiles);
        CHECK(Kernel::stage_columns(n) % 32 == 0 && Kernel::stage_columns(n) <= chain::chunk_columns);
        CHECK(chain::ceil_div(n, 8) * 8 * Kernel::stage_columns(n) <= Kernel::stage_elements);
    }
}

}  // namespace

int main() {
    places_of_a_triangle();
    for (const std::size_t n : {1UL, 63UL, 64UL, 65UL, 200UL, 1000UL}) the_whole_grid(n);
    large_grids();
    panels();
    packed_places();
    few_rows();
    return check::result();
}
