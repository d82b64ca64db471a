// No kernel reads, or writes, beyond what it was given: inputs, packed rows and outputs end right before a page that may not
// be touched, so that one element too many ends the process. (Address sanitizers see no such read in code that a compiler
// vectorised wrongly, as GCC 12 once did here.)

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

#include "adabet/metric/distance_tiles.hpp"
#include "adabet/metric/float_mode.hpp"
#include "adabet/metric/kernels.hpp"
#include "adabet/metric/load.hpp"
#include "check.hpp"
#include "metric_support.hpp"

namespace {

using namespace metric_test;

/// So many bytes right before a page that may not be touched (behind one, where `at_end` is false).
class GuardedMemory {
public:
    explicit GuardedMemory(std::size_t bytes, bool at_end = true) {
        const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        const std::size_t inner = chain::ceil_div(std::max<std::size_t>(bytes, 1), page) * page;
        mapped_ = inner + 2 * page;
        base_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (base_ == MAP_FAILED) throw std::bad_alloc();
        auto* const first = static_cast<unsigned char*>(base_) + page;
        if (mprotect(base_, page, PROT_NONE) != 0 || mprotect(first + inner, page, PROT_NONE) != 0)
            throw std::bad_alloc();
        data_ = at_end ? first + (inner - bytes) : first;
    }
    ~GuardedMemory() { munmap(base_, mapped_); }
    GuardedMemory(const GuardedMemory&) = delete;
    GuardedMemory& operator=(const GuardedMemory&) = delete;

    template <class T>
    [[nodiscard]] T* as() const {
        return reinterpret_cast<T*>(data_);
    }

private:
    void* base_ = nullptr;
    std::size_t mapped_ = 0;
    unsigned char* data_ = nullptr;
};

constexpr ScalarType scalars[] = {ScalarType::float32, ScalarType::float64, ScalarType::float16, ScalarType::bfloat16,
                                  ScalarType::int8,    ScalarType::int16,   ScalarType::int32,   ScalarType::int64,
                                  ScalarType::uint8,   ScalarType::uint16,  ScalarType::uint32,  ScalarType::uint64,
                                  ScalarType::boolean};

/// Small whole numbers of any type: 0 to 15, true or false.
void fill(void* to, ScalarType scalar, std::size_t count, std::uint64_t seed) {
    Lcg random(seed);
    for (std::size_t k = 0; k < count; ++k) {
        const std::uint32_t value = random.next() % 16;
        const auto put = [&](auto stored) {
            std::memcpy(static_cast<unsigned char*>(to) + k * sizeof stored, &stored, sizeof stored);
        };
        switch (scalar) {
            case ScalarType::float32:
                put(static_cast<float>(value) * 0.1F);
                break;
            case ScalarType::float64:
                put(static_cast<double>(value) * 0.1);
                break;
            case ScalarType::float16:
                put(static_cast<std::uint16_t>(0x3000U + value * 37));
                break;
            case ScalarType::bfloat16:
                put(static_cast<std::uint16_t>(0x3f00U + value * 5));
                break;
            case ScalarType::boolean:
                put(static_cast<std::uint8_t>(value % 2));
                break;
            default:
                if (size_of(scalar) == 1) put(static_cast<std::uint8_t>(value));
                if (size_of(scalar) == 2) put(static_cast<std::uint16_t>(value));
                if (size_of(scalar) == 4) put(static_cast<std::uint32_t>(value));
                if (size_of(scalar) == 8) put(static_cast<std::uint64_t>(value));
        }
    }
}

/// Rows of every type, contiguous or not, to rows that end at a guard themselves; one that starts behind a guard as well.
void packing() {
    for (const Isa isa : available_isas())
        for (const ScalarType scalar : scalars)
            for (std::size_t count = 0; count <= 140; ++count)
                for (const std::ptrdiff_t stride : {1, 3, -1}) {
                    const auto step = static_cast<std::size_t>(stride < 0 ? -stride : stride);
                    const std::size_t span = count == 0 ? 0 : (count - 1) * step + 1;
                    const GuardedMemory from(span * size_of(scalar), stride > 0);
                    fill(from.as<void>(), scalar, span, count);
                    const auto* first = from.as<unsigned char>();
                    if (stride < 0 && count > 0) first += (span - 1) * size_of(scalar);
                    const auto index = static_cast<std::size_t>(scalar);
                    const GuardedMemory doubles(count * sizeof(double));
                    CHECK_EQ(kernels(isa).pack_double[index](first, stride, count, doubles.as<double>()), 0);
                    if (!fits_float(scalar)) continue;
                    const GuardedMemory floats(count * sizeof(float));
                    CHECK_EQ(kernels(isa).pack_float[index](first, stride, count, floats.as<float>()), 0);
                    bool same = true;
                    for (std::size_t k = 0; k < count; ++k)
                        same &= static_cast<double>(floats.as<float>()[k]) == doubles.as<double>()[k];
                    CHECK(same);
                }
}

/// Packed rows, the last of which ends at a guard: `rows_beyond` rows behind the last one may be read, and no element more.
template <class T>
class Rows {
public:
    Rows(std::size_t n, std::size_t steps, std::size_t ld, std::uint64_t seed, std::size_t beyond)
        : values_(((n + beyond - 1) * ld + steps * chain::lanes) * sizeof(T)), marks_(n) {
        Lcg random(seed);
        T* const rows = values_.template as<T>();
        for (std::size_t i = 0; i < n + beyond; ++i)
            for (std::size_t k = 0; k < (i + 1 < n + beyond ? ld : steps * chain::lanes); ++k)
                rows[i * ld + k] = static_cast<T>(random.gaussian());
        std::fill_n(marks_.template as<std::uint8_t>(), n, std::uint8_t{0});
    }
    [[nodiscard]] const T* values() const { return values_.template as<T>(); }
    [[nodiscard]] std::uint8_t* marks() const { return marks_.template as<std::uint8_t>(); }

private:
    GuardedMemory values_;
    GuardedMemory marks_;
};

template <class T, class Run>
void check_chunks(std::size_t n_a, std::size_t n_b, std::size_t steps, bool diagonal, std::size_t beyond, Run&& run) {
    const std::size_t ld = steps * chain::lanes + 64 / sizeof(T);
    const Rows<T> a(n_a, steps, ld, 1, beyond);
    const Rows<T> b(n_b, steps, ld, 2, beyond);
    const GuardedMemory sums(n_a * n_b * sizeof(double));
    std::fill_n(sums.as<double>(), n_a * n_b, 0.0);
    const ChunkBlock<T> block{.a = a.values(),
                              .b = diagonal ? a.values() : b.values(),
                              .n_a = n_a,
                              .n_b = n_b,
                              .ld = ld,
                              .steps = steps,
                              .marks_a = a.marks(),
                              .marks_b = diagonal ? a.marks() : b.marks(),
                              .diagonal = diagonal,
                              .sums = sums.as<double>(),
                              .ld_sums = n_b};
    run(block);
    bool positive = true;
    for (std::size_t i = 0; i < n_a; ++i)
        for (std::size_t j = diagonal ? i + 1 : 0; j < n_b; ++j) positive &= sums.as<double>()[i * n_b + j] > 0.0;
    CHECK(positive);
}

/// All chunk kernels, for every size around those of their tiles.
void chunks() {
    const PlainFloatMode mode;
    for (const Isa isa : available_isas()) {
        const Kernels& table = kernels(isa);
        const CoreKernels* const cores[] = {&table.squares, &table.absolutes, &table.largest};
        for (const std::size_t steps : {1UL, 2UL, 5UL, 32UL}) {
            for (std::size_t n_a = 1; n_a <= 9; ++n_a)
                for (std::size_t n_b = 1; n_b <= 18; ++n_b)
                    for (const bool diagonal : {false, true}) {
                        if (diagonal && n_a != n_b) continue;
                        check_chunks<float>(n_a, n_b, steps, diagonal, rows_beyond, table.chunk_of_squares_float);
                        for (const CoreKernels* core : cores)
                            check_chunks<double>(n_a, n_b, steps, diagonal, rows_beyond, core->chunk);
                    }
            check_chunks<float>(1, 1, steps, false, 0, table.pair_of_squares_float);
            for (const CoreKernels* core : cores) check_chunks<double>(1, 1, steps, false, 0, core->pair);
        }
    }
}

/// Tiles of points with few coordinates: packed points and output end at guards.
template <class Real>
void narrow_tiles_of(const NarrowTileKernels<Real>& table) {
    const PlainFloatMode mode;
    for (const auto kernel : {table.euclidean, table.squared, table.cityblock, table.chebyshev, table.cosine})
        for (const std::size_t d : {1UL, 2UL, 3UL, 8UL, 63UL, 64UL})
            for (std::size_t n = 1; n <= 26; ++n) {
                const std::size_t padded = chain::ceil_div(n, narrow_width) * narrow_width;
                const GuardedMemory points(padded * d * sizeof(double));
                Lcg random(n);
                for (std::size_t k = 0; k < padded * d; ++k) points.as<double>()[k] = random.gaussian();
                const std::size_t first = n / 3;
                const GuardedMemory out((n - first) * (n - first) * sizeof(Real));
                static_cast<void>(kernel({.points = points.as<double>(),
                                          .d = d,
                                          .first_row = first,
                                          .n_rows = n - first,
                                          .first_column = first,
                                          .n_columns = n - first,
                                          .out = out.as<Real>(),
                                          .stride = n - first}));
                CHECK(out.as<Real>()[(n - first) * (n - first) - 1] >= 0);
            }
}

/// Whole calls: points and distances end at guards, whatever the type, the metric and the form.
void whole_calls() {
    MemoryBudget budget;
    for (const Isa isa : available_isas())
        for (const ScalarType scalar : scalars)
            for (const auto& [n, d] : std::vector<std::pair<std::size_t, std::size_t>>{{1, 1},
                                                                                       {2, 3},
                                                                                       {9, 64},
                                                                                       {5, 65},
                                                                                       {13, 97},
                                                                                       {33, 127},
                                                                                       {18, 1023},
                                                                                       {19, 1025},
                                                                                       {4, 9000},
                                                                                       {131, 70}}) {
                const GuardedMemory values(n * d * size_of(scalar));
                fill(values.as<void>(), scalar, n * d, d);
                const PointCloud points{.data = values.as<void>(),
                                        .scalar = scalar,
                                        .n = n,
                                        .d = d,
                                        .point_stride = static_cast<std::ptrdiff_t>(d)};
                const GuardedMemory floats(n * n * sizeof(float));
                const GuardedMemory doubles(n * n * sizeof(double));
                for (const std::string_view name : metric_names()) {
                    const Metric metric = metric_from_name(name);
                    if (metric == Metric::correlation && d < 9) continue;  // rows may be constant
                    if (metric == Metric::cosine && d < 9) continue;       // or zero
                    for (const int n_threads : {1, 2}) {
                        const Execution execution{.budget = budget, .n_threads = n_threads};
                        pairwise_distances_on(isa, points, metric, floats.as<float>(), n, execution);
                        pairwise_distances_on(isa, points, metric, doubles.as<double>(), n, execution);
                    }
                    CHECK_EQ(floats.as<float>()[n * n - 1], 0.0F);
                    CHECK_EQ(doubles.as<double>()[n * n - 1], 0.0);
                    if (isa != active_isa() || n < 2) continue;
                    const std::size_t entries = entries_of(MatrixForm::condensed, n);
                    const GuardedMemory condensed(entries * sizeof(float));
                    pairwise_distances(
                        points, metric,
                        DistanceOutput<float>{
                            .out = condensed.as<float>(), .n = n, .stride = n, .form = MatrixForm::condensed},
                        Execution{.budget = budget, .n_threads = 2});
                    bool same = true;
                    std::size_t at = 0;
                    for (std::size_t i = 0; i < n; ++i)
                        for (std::size_t j = i + 1; j < n; ++j)
                            same &= condensed.as<float>()[at++] == floats.as<float>()[i * n + j];
                    CHECK(same);
                    CHECK_EQ(at, entries);
                }
            }
}

}  // namespace

int main() {
    packing();
    chunks();
    for (const Isa isa : available_isas()) {
        narrow_tiles_of(kernels(isa).tile_float);
        narrow_tiles_of(kernels(isa).tile_double);
    }
    whole_calls();
    return check::result();
}
