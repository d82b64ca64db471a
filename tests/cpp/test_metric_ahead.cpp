// Clouds of so many rows that the next chunk is copied while one is computed: rows that nobody looked through.

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "adabet/metric/pairwise.hpp"
#include "adabet/metric/pairwise_plan.hpp"
#include "check.hpp"
#include "metric_support.hpp"

namespace {

using namespace metric_test;

constexpr std::size_t chunk = chain::chunk_columns;

/// What rows may hold that fp32 chains cannot sum, or leave at zero.
std::vector<float> rows_of_all_kinds(std::size_t n, std::size_t d, unsigned seed) {
    Lcg random(seed);
    auto x = cloud_of<float>(n * d, [&] { return random.gaussian(); });
    const auto fill = [&](std::size_t row, std::size_t from, std::size_t to, auto&& value) {
        for (std::size_t k = from; k < std::min(to, d); ++k) x[row * d + k] = value();
    };
    const auto zero = [] { return 0.0F; };
    for (const std::size_t row : {0UL, 1UL, 2UL, n - 1}) fill(row, 0, d - chunk / 2, zero);  // but for the last columns
    for (const std::size_t row : {4UL, 5UL}) fill(row, chunk, 2 * chunk, [&] { return random.gaussian() * 1e-30F; });
    fill(6, chunk, 2 * chunk, [&] { return random.gaussian() * 1e19F; });
    fill(7, chunk, 2 * chunk, zero);
    x[7 * d + d / 2] = 1e-41F;
    fill(8, 0, d, zero);
    fill(9, 0, d, zero);
    x[9 * d + d - 1] = 1e-25F;
    std::copy_n(&x[10 * d], d, &x[11 * d]);
    return x;
}

void by_the_letter() {
    for (const std::size_t n : {27UL, 28UL, 41UL, 64UL, 65UL})
        for (const std::size_t d : {2 * chunk, 3 * chunk - 1, 9 * chunk + 5, 20 * chunk}) {
            const auto x = rows_of_all_kinds(n, d, static_cast<unsigned>(n));
            std::vector<float> expected(n * n, 0.0F);
            for (std::size_t i = 0; i < n; ++i)
                for (std::size_t j = i + 1; j < n; ++j)
                    expected[i * n + j] = expected[j * n + i] = replayed_distance(&x[i * d], &x[j * d], d);
            for (const Isa isa : available_isas())
                for (const int threads : {1, 2, 3})
                    CHECK(same_bits(distances<float>(view(x, n, d), Metric::euclidean, isa, threads), expected));
        }
}

/// Rows from the last to the first, and rows that begin within a cache line.
void any_layout() {
    const std::size_t n = 40;
    const std::size_t d = 5 * chunk;
    const std::size_t wide = d + 3;
    Lcg random(2);
    const auto x = cloud_of<float>(n * wide + 1, [&] { return random.gaussian(); });
    PointCloud points{.data = x.data() + 1 + (n - 1) * wide,
                      .scalar = ScalarType::float32,
                      .n = n,
                      .d = d,
                      .point_stride = -static_cast<std::ptrdiff_t>(wide),
                      .coordinate_stride = 1};
    const auto out = distances<float>(points);
    bool same = true;
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < i; ++j)
            same &= out[i * n + j] == replayed_distance(&x[1 + (n - 1 - i) * wide], &x[1 + (n - 1 - j) * wide], d);
    CHECK(same);
}

void what_is_not_finite_is_named() {
    const std::size_t n = 64;
    const std::size_t d = 10 * chunk + 7;
    Lcg random(5);
    const auto plain = cloud_of<float>(n * d, [&] { return random.gaussian(); });
    const PairwisePlan plan = plan_pairwise(view(plain, n, d), Metric::euclidean, sizeof(float), 2);
    CHECK(plan.by_groups && plan.copies_ahead);
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
        for (const std::size_t column : {0UL, chunk, 4 * chunk - 1, 9 * chunk, 10 * chunk, d - 1})
            for (const std::size_t row : {0UL, n - 1})
                for (const int threads : {1, 2}) {
                    auto x = plain;
                    x[row * d + column] = bad;
                    const std::string place = "row " + std::to_string(row) + ", column " + std::to_string(column);
                    CHECK_THROWS_SAYING(InvalidInput, place,
                                        distances<float>(view(x, n, d), Metric::euclidean, active_isa(), threads));
                }
    auto far = plain;  // finite, but not its distances
    std::fill_n(&far[3 * d], d, std::numeric_limits<float>::max());
    CHECK_THROWS_SAYING(InvalidInput, "overflows", distances<float>(view(far, n, d)));
}

/// The last chunk of a cloud brings the first of the next, which may turn out to be another thread's.
void clouds_in_a_row() {
    const std::size_t n = 30;
    const std::size_t d = 2 * chunk;
    Lcg random(9);
    const auto x = cloud_of<float>(23 * n * d, [&] { return random.gaussian(); });
    std::vector<PointCloud> clouds;
    for (std::size_t c = 0; c < 23; ++c) {
        PointCloud cloud = view(x, c % 5 == 4 ? n - 1 : n, c % 7 == 6 ? d - 1 : d);
        cloud.data = &x[(c % 3 == 2 ? c - 1 : c) * n * d];  // some of them twice
        clouds.push_back(cloud);
    }
    for (const int threads : {1, 2, 3}) {
        std::vector<std::vector<float>> outs;
        std::vector<float*> pointers;
        for (const PointCloud& cloud : clouds) outs.emplace_back(cloud.n * cloud.n);
        for (auto& out : outs) pointers.push_back(out.data());
        MemoryBudget budget;
        pairwise_distances_batch<float>(clouds, Metric::euclidean, MatrixForm::square, pointers,
                                        Execution{.budget = budget, .n_threads = threads});
        bool same = true;
        for (std::size_t c = 0; c < clouds.size(); ++c) same &= same_bits(outs[c], distances<float>(clouds[c]));
        CHECK(same);
    }
}

/// The next cloud of a batch has the same shape, but not what can be copied as it is.
void clouds_of_other_types() {
    const std::size_t n = 30;
    const std::size_t d = chunk;
    Lcg random(11);
    const auto real = cloud_of<float>(n * d, [&] { return random.gaussian(); });
    const auto bytes = cloud_of<std::uint8_t>(n * d, [&] { return static_cast<std::uint8_t>(random.next() % 200); });
    const auto doubles = cloud_of<double>(n * d, [&] { return random.gaussian(); });
    PointCloud columns = view(real, n, d);
    std::swap(columns.point_stride, columns.coordinate_stride);
    columns.coordinate_stride = static_cast<std::ptrdiff_t>(n);
    PointCloud backwards = view(real, n, d);
    backwards.data = &real[(n - 1) * d];
    backwards.point_stride = -backwards.point_stride;
    const std::vector<PointCloud> clouds{view(real, n, d),    view(bytes, n, d), view(real, n, d), columns,
                                         view(doubles, n, d), view(real, n, d),  backwards,        view(bytes, n, d)};
    std::vector<std::vector<float>> outs(clouds.size(), std::vector<float>(n * n));
    std::vector<float*> pointers;
    for (auto& out : outs) pointers.push_back(out.data());
    MemoryBudget budget;
    pairwise_distances_batch<float>(clouds, Metric::euclidean, MatrixForm::square, pointers,
                                    Execution{.budget = budget, .n_threads = 1});
    for (std::size_t c = 0; c < clouds.size(); ++c) CHECK(same_bits(outs[c], distances<float>(clouds[c])));
}

void memory_is_what_was_said() {
    const std::size_t n = 40;
    const std::size_t d = 64 * chunk;
    const std::vector<float> x(n * d, 1.0F);
    std::vector<float> out(n * n);
    for (const int threads : {1, 2}) {
        const PairwisePlan plan = plan_pairwise(view(x, n, d), Metric::euclidean, sizeof(float), threads);
        CHECK(plan.copies_ahead);
        MemoryBudget budget;
        pairwise_distances(view(x, n, d), Metric::euclidean, out.data(), n,
                           Execution{.budget = budget, .n_threads = threads});
        CHECK(budget.peak() <= plan.bytes);
    }
}

}  // namespace

int main() {
    by_the_letter();
    any_layout();
    what_is_not_finite_is_named();
    clouds_in_a_row();
    clouds_of_other_types();
    memory_is_what_was_said();
    return check::result();
}
