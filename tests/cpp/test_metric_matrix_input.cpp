// Distance matrices as callers bring them: read in place where that is sound, copied and put right otherwise, refused
// with the first bad entry named.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "adabet/errors.hpp"
#include "adabet/metric/matrix_input.hpp"
#include "check.hpp"

namespace {

using namespace adabet;

using Sizes = std::vector<std::size_t>;

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();

struct Run {
    MemoryBudget budget;
    Execution execution;

    explicit Run(int n_threads = 1, std::size_t limit = std::size_t{1} << 40)
        : budget(limit), execution{budget, n_threads, {}} {}
};

template <class T>
ScalarType scalar_of() {
    if constexpr (std::is_same_v<T, float>) return ScalarType::float32;
    if constexpr (std::is_same_v<T, double>) return ScalarType::float64;
    if constexpr (std::is_same_v<T, std::int64_t>) return ScalarType::int64;
    if constexpr (std::is_same_v<T, std::uint16_t>) return ScalarType::float16;
    return ScalarType::int8;
}

template <class T>
PointCloud square(const std::vector<T>& entries, std::size_t n) {
    return {entries.data(), scalar_of<T>(), n, n, static_cast<std::ptrdiff_t>(n), 1};
}

template <class T>
PointCloud row(const std::vector<T>& entries) {
    return {entries.data(), scalar_of<T>(), 1, entries.size(), 0, 1};
}

/// A symmetric matrix with lengths in [1, 2), a few of them tied and some infinite.
template <class T>
std::vector<T> random_matrix(std::size_t n, unsigned seed) {
    std::mt19937 engine(seed);
    std::uniform_int_distribution<int> pick(0, 40);
    std::vector<T> entries(n * n, T(0));
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = i + 1; j < n; ++j) {
            const int k = pick(engine);
            entries[i * n + j] = entries[j * n + i] = k == 0 ? T(inf) : T(1) + T(k) / T(64);
        }
    }
    return entries;
}

template <class Real>
bool is_sound(const DistanceMatrix<Real>& m) {
    for (std::size_t i = 0; i < m.n; ++i) {
        if (m(i, i) != 0 || std::signbit(m(i, i))) return false;
        for (std::size_t j = 0; j < m.n; ++j) {
            if (std::isnan(m(i, j)) || std::signbit(m(i, j)) || m(i, j) != m(j, i)) return false;
        }
    }
    return true;
}

void canonical_matrices_are_borrowed() {
    for (const std::size_t n : Sizes{0, 1, 2, 3, 63, 64, 65, 130}) {
        for (const int n_threads : {1, 3}) {
            Run run(n_threads);
            const auto entries = random_matrix<float>(n, 7);
            const auto input = read_square<float>(square(entries, n), run.execution);
            CHECK(input.borrowed());
            CHECK(input.matrix().data == entries.data() || n == 0);
            CHECK_EQ(input.matrix().n, n);
            CHECK_EQ(run.budget.peak(), std::size_t{0});
        }
    }
    // Rows further apart than they are long.
    Run run;
    std::vector<double> wide(15, -1.0);  // three rows, five apart
    for (std::size_t i = 0; i < 3; ++i) {
        for (std::size_t j = 0; j < 3; ++j) wide[i * 5 + j] = i == j ? 0.0 : 1.0;
    }
    const auto input = read_square<double>({wide.data(), ScalarType::float64, 3, 3, 5, 1}, run.execution);
    CHECK(input.borrowed());
    CHECK_EQ(input.matrix().stride, std::size_t{5});
    CHECK_EQ(input.matrix()(2, 1), 1.0);
}

/// Every single entry that is not canonical is noticed, wherever it stands in the tiles.
void every_flaw_ends_borrowing() {
    Run run;
    const std::size_t n = 70;
    const std::vector<float> good(n * n, 0.0F);
    const auto canonical_with = [&](std::size_t i, std::size_t j, float value) {
        auto entries = good;
        entries[i * n + j] = value;
        return is_canonical<float>(square(entries, n), run.execution);
    };
    CHECK(is_canonical<float>(square(good, n), run.execution));
    const auto nan_float = std::numeric_limits<float>::quiet_NaN();
    for (std::size_t i = 0; i < n; i += 3) {
        for (std::size_t j = 0; j < n; ++j) {
            for (const float value : {-0.0F, 1e-45F, 1.0F, nan_float, -1.0F}) CHECK(!canonical_with(i, j, value));
        }
    }
    for (const float both : {-0.0F, nan_float, -nan_float, -1.0F, -std::numeric_limits<float>::infinity()}) {
        auto entries = good;
        entries[3 * n + 68] = entries[68 * n + 3] = both;
        CHECK(!is_canonical<float>(square(entries, n), run.execution));
    }
    CHECK(!is_canonical<double>(square(good, n), run.execution));
    CHECK(!is_canonical<float>({good.data(), ScalarType::float32, n, n, 0, 1}, run.execution));
    CHECK(!is_canonical<float>({good.data(), ScalarType::float32, n / 2, n / 2, static_cast<std::ptrdiff_t>(n), 2},
                               run.execution));
}

void other_matrices_are_copied() {
    for (const std::size_t n : Sizes{2, 5, 64, 65, 130}) {
        for (const int n_threads : {1, 3}) {
            Run run(n_threads);
            const auto entries = random_matrix<double>(n, 3);
            const auto input = read_square<float>(square(entries, n), run.execution);
            CHECK(!input.borrowed());
            CHECK(run.budget.peak() >= n * n * sizeof(float));
            CHECK(is_sound(input.matrix()));
            bool equal = true;
            for (std::size_t k = 0; k < n * n; ++k)
                equal = equal && input.matrix().data[k] == static_cast<float>(entries[k]);
            CHECK(equal);
        }
    }
    Run run;
    // Transposed and reversed strides, and other scalar types.
    const std::vector<std::int64_t> integers = {0, 1, 2, 1, 0, 3, 2, 3, 0};
    const PointCloud reversed{integers.data() + 8, ScalarType::int64, 3, 3, -3, -1};
    const auto turned = read_square<double>(reversed, run.execution);
    CHECK(is_sound(turned.matrix()));
    CHECK_EQ(turned.matrix()(0, 1), 3.0);
    CHECK_EQ(turned.matrix()(1, 2), 1.0);
    const std::vector<std::uint16_t> halves = {0x0000, 0x3c00, 0x3c00, 0x0000};  // 0, 1, 1, 0
    CHECK_EQ(read_square<float>(square(halves, 2), run.execution).matrix()(0, 1), 1.0F);
    // Negative zeros become positive ones.
    const std::vector<float> zeros = {-0.0F, -0.0F, 0.0F, -0.0F};
    const auto cleaned = read_square<float>(square(zeros, 2), run.execution);
    CHECK(is_sound(cleaned.matrix()));
}

void rounding_is_forgiven_and_the_upper_triangle_taken() {
    Run run;
    const double up = std::nextafter(1.5, 2.0);
    for (const double off : {up, 1.5}) {
        const std::vector<double> entries = {0, off, 1, 3 - off, 0, 1, 1, 1, 1e-17};
        const auto input = read_square<double>(square(entries, 3), run.execution);
        CHECK(is_sound(input.matrix()));
        CHECK_EQ(input.matrix()(1, 0), off);
    }
    // Asymmetry that the cast removes.
    const std::vector<double> wide = {0, 1.5, 1.5 + 1e-9, 0};
    CHECK(is_sound(read_square<float>(square(wide, 2), run.execution).matrix()));
    CHECK_THROWS_SAYING(InvalidInput, "not symmetric", read_square<double>(square(wide, 2), run.execution));
    // A Gram-form distance of two near points: its square is off by some units of the largest square.
    const std::vector<double> gram = {0, 1, 1e-8, 1, 0, 1, 2e-8, 1, 0};
    CHECK(is_sound(read_square<double>(square(gram, 3), run.execution).matrix()));
}

void bad_squares_are_refused() {
    Run run(2);
    const std::size_t n = 130;
    const auto with = [&](std::size_t i, std::size_t j, double value, bool both = false) {
        auto entries = random_matrix<double>(n, 5);
        entries[i * n + j] = value;
        if (both) entries[j * n + i] = value;
        return read_square<float>(square(entries, n), run.execution);
    };
    CHECK_THROWS_SAYING(InvalidInput, "(7, 120) is NaN", with(7, 120, nan_value));
    CHECK_THROWS_SAYING(InvalidInput, "(120, 7) is NaN", with(120, 7, nan_value));
    CHECK_THROWS_SAYING(InvalidInput, "(7, 120) is NaN", with(120, 7, nan_value, true));
    CHECK_THROWS_SAYING(InvalidInput, "(9, 9) is NaN", with(9, 9, nan_value));
    CHECK_THROWS_SAYING(InvalidInput, "(64, 65) is negative: got -0.5", with(65, 64, -0.5, true));
    CHECK_THROWS_SAYING(InvalidInput, "(0, 1) is negative: got -inf", with(0, 1, -inf, true));
    CHECK_THROWS_SAYING(InvalidInput, "(3, 5) overflows float32", with(3, 5, 1e39, true));
    CHECK_THROWS_SAYING(InvalidInput, "diagonal entry (77, 77) is 0.5", with(77, 77, 0.5));
    CHECK_THROWS_SAYING(InvalidInput, "diagonal entry (77, 77) is -0.5", with(77, 77, -0.5));
    CHECK_THROWS_SAYING(InvalidInput, "(11, 128) is 1", with(128, 11, 3.0));
    CHECK_THROWS_SAYING(InvalidInput, "(128, 11) is 3", with(128, 11, 3.0));
    CHECK_THROWS_SAYING(InvalidInput, "not symmetric", with(1, 2, inf));
    const std::vector<double> flat(6, 0.0);
    CHECK_THROWS_SAYING(InvalidInput, "(2, 3)",
                        read_square<float>({flat.data(), ScalarType::float64, 2, 3, 3, 1}, run.execution));
    const auto large = random_matrix<double>(n, 5);
    Run poor(1, n * n * sizeof(float) - 1);
    CHECK_THROWS(BudgetExceeded, read_square<float>(square(large, n), poor.execution));
    CHECK_EQ(poor.budget.used(), std::size_t{0});
}

void condensed_matrices() {
    CHECK_EQ(condensed_points(0), std::size_t{1});
    for (std::size_t n = 2; n < 3000; ++n) {
        CHECK_EQ(condensed_points(n * (n - 1) / 2), n);
        if (n > 2) CHECK_THROWS_SAYING(InvalidInput, "n (n - 1) / 2", condensed_points(n * (n - 1) / 2 + 1));
    }
    for (const std::size_t n : Sizes{46341, 65537, 92683, 3000000}) CHECK_EQ(condensed_points(n * (n - 1) / 2), n);
    CHECK_THROWS(InvalidInput, condensed_points(std::size_t{92683} * 92682 / 2 - 1));

    for (const std::size_t n : Sizes{1, 2, 5, 64, 131}) {
        Run run(2);
        const auto full = random_matrix<double>(n, 9);
        std::vector<double> upper;
        for (std::size_t i = 0; i < n; ++i)
            upper.insert(upper.end(), full.begin() + static_cast<std::ptrdiff_t>(i * n + i + 1),
                         full.begin() + static_cast<std::ptrdiff_t>((i + 1) * n));
        const auto input = read_condensed<double>(row(upper), run.execution);
        CHECK_EQ(input.matrix().n, n);
        CHECK(std::memcmp(input.matrix().data, full.data(), n * n * sizeof(double)) == 0);
    }
    Run run;
    CHECK_THROWS_SAYING(InvalidInput, "entry 4, the pair (1, 3), is NaN",
                        read_condensed<float>(row(std::vector<double>{1, 1, 1, 1, nan_value, 1}), run.execution));
    CHECK_THROWS_SAYING(InvalidInput, "entry 5, the pair (2, 3), is negative",
                        read_condensed<float>(row(std::vector<double>{1, 1, 1, 1, 1, -1}), run.execution));
    CHECK_THROWS_SAYING(InvalidInput, "got 5", read_condensed<float>(row(std::vector<double>(5, 1.0)), run.execution));
}

MatrixInput<float> sparse(std::size_t n, const std::vector<std::int64_t>& rows,
                          const std::vector<std::int64_t>& columns, const std::vector<double>& lengths) {
    static Run run(2);
    return read_sparse<float>({n, rows.data(), columns.data(), row(lengths)}, run.execution);
}

void sparse_matrices() {
    constexpr float none = std::numeric_limits<float>::infinity();
    // The same graph by its upper triangle, by its lower one, and by both.
    const auto upper = sparse(4, {0, 1, 0}, {1, 3, 3}, {1, 2, 0});
    const auto lower = sparse(4, {1, 3, 3}, {0, 1, 0}, {1, 2, 0});
    const auto both = sparse(4, {0, 1, 0, 1, 3, 3, 2}, {1, 3, 3, 0, 1, 0, 2}, {1, 2, 0, 1, 2, 0, 0});
    for (const auto* input : {&upper, &lower, &both}) {
        const auto& m = input->matrix();
        CHECK(is_sound(m));
        CHECK(m(0, 1) == 1.0F && m(1, 3) == 2.0F && m(3, 0) == 0.0F);
        CHECK(m(0, 2) == none && m(2, 3) == none && m(1, 2) == none);
    }
    CHECK_EQ(sparse(3, {}, {}, {}).matrix()(0, 2), none);
    // An infinite length says no more than a missing one.
    CHECK_EQ(sparse(3, {0, 1, 1}, {1, 0, 2}, {1, 1, inf}).matrix()(1, 2), none);

    CHECK_THROWS_SAYING(InvalidInput, "G.maximum(G.T)", sparse(3, {0, 2}, {1, 1}, {1, 2}));
    CHECK_THROWS_SAYING(InvalidInput, "(0, 1) is 1, (1, 0) is 2", sparse(3, {0, 1}, {1, 0}, {1, 2}));
    CHECK_THROWS_SAYING(InvalidInput, "(1, 2) is missing, (2, 1) is 2", sparse(3, {0, 1, 2}, {1, 0, 1}, {1, 1, 2}));
    CHECK_THROWS_SAYING(InvalidInput, "(0, 1) more than once", sparse(3, {0, 0}, {1, 1}, {1, 1}));
    CHECK_THROWS_SAYING(InvalidInput, "(1, 2) is negative", sparse(3, {1}, {2}, {-1}));
    CHECK_THROWS_SAYING(InvalidInput, "(1, 2) is NaN", sparse(3, {1}, {2}, {nan_value}));
    CHECK_THROWS_SAYING(InvalidInput, "overflows", sparse(3, {1}, {2}, {1e300}));
    CHECK_THROWS_SAYING(InvalidInput, "diagonal entry (1, 1) is 3", sparse(3, {1}, {1}, {3}));
    CHECK_THROWS_SAYING(InvalidInput, "outside its shape", sparse(3, {1}, {3}, {1}));
    CHECK_THROWS_SAYING(InvalidInput, "outside its shape", sparse(3, {-1}, {2}, {1}));
}

}  // namespace

int main() {
    canonical_matrices_are_borrowed();
    every_flaw_ends_borrowing();
    other_matrices_are_copied();
    rounding_is_forgiven_and_the_upper_triangle_taken();
    bad_squares_are_refused();
    condensed_matrices();
    sparse_matrices();
    return check::result();
}
