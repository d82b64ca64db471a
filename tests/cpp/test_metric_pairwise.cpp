// Pairwise distances as a caller sees them: accuracy, threads, subsets, metrics, memory, cancelling.

#include <algorithm>
#include <limits>
#include <string>

#include "check.hpp"
#include "metric_support.hpp"

namespace {

using namespace metric_test;

template <class T>
double direct(const std::vector<T>& x, std::size_t d, std::size_t i, std::size_t j) {
    long double sum = 0;
    for (std::size_t k = 0; k < d; ++k) {
        const long double difference = static_cast<long double>(x[i * d + k]) - static_cast<long double>(x[j * d + k]);
        sum += difference * difference;
    }
    return static_cast<double>(std::sqrt(sum));
}

template <class T, class Real>
double largest_relative_error(const std::vector<T>& x, std::size_t n, std::size_t d, const std::vector<Real>& out) {
    double worst = 0.0;
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < i; ++j) {
            const double exact = direct(x, d, i, j);
            if (exact > 0.0) worst = std::max(worst, std::abs(static_cast<double>(out[i * n + j]) - exact) / exact);
        }
    return worst;
}

void accuracy() {
    const std::size_t n = 6;
    const std::size_t d = 100'352;
    Lcg random(3);
    const auto gaussian = cloud_of<float>(n * d, [&] { return random.gaussian(); });
    auto near = gaussian;  // row 1 is row 0 but for 1e-4, which fp32 holds with few digits
    for (std::size_t k = 0; k < d; ++k) near[d + k] = near[k] + 1e-4F * random.gaussian();
    const auto transformed = [&](float offset, float spread) {
        auto x = gaussian;
        for (float& v : x) v = offset + spread * v;
        return x;
    };
    for (const auto& x : {gaussian, transformed(10.0F, 1.0F), transformed(100.0F, 0.01F), near,
                          transformed(0.0F, 1e-22F), transformed(0.0F, 1e19F), transformed(0.0F, 1e-40F)})
        CHECK(largest_relative_error(x, n, d, distances<float>(view(x, n, d))) <= 1.2e-7);
    for (const std::size_t width : {65UL, 70UL, 129UL, 1000UL, 2100UL}) {
        const std::vector<float> x(gaussian.begin(), gaussian.begin() + static_cast<std::ptrdiff_t>(40 * width));
        CHECK(largest_relative_error(x, 40, width, distances<float>(view(x, 40, width))) <= 1.2e-7);
    }
    const std::vector<float> narrow(gaussian.begin(), gaussian.begin() + 50L * 64);
    CHECK(largest_relative_error(narrow, 50, 64, distances<float>(view(narrow, 50, 64))) <= 5.97e-8);  // one rounding
    CHECK(largest_relative_error(narrow, 50, 64, distances<double>(view(narrow, 50, 64))) <= 1e-15);
}

/// float64 rows whose squares fp64 cannot hold.
void far_scales_in_double() {
    for (const std::size_t d : {3UL, 200UL})
        for (const double scale : {1e-300, 1e-170, 1e-155, 1e160, 1e300}) {
            Lcg random(d);
            const auto x = cloud_of<double>(5 * d, [&] { return scale * random.gaussian(); });
            const auto out = distances<double>(view(x, 5, d));
            CHECK(largest_relative_error(x, 5, d, out) <= (scale < 1e-299 ? 1e-7 : 1e-14));
        }
    const std::vector<double> equal(400, 3.5);
    CHECK(distances<double>(view(equal, 2, 200)) == std::vector<double>(4, 0.0));
    const std::vector<double> denormal{0.0, 5e-324};
    CHECK_EQ(distances<double>(view(denormal, 2, 1))[1], 5e-324);
    CHECK_EQ(distances<float>(view(denormal, 2, 1))[1], 0.0F);
}

/// The same pair has the same bits whatever else is in the call.
void threads_and_subsets() {
    for (const auto& [n, d] : std::vector<std::pair<std::size_t, std::size_t>>{
             {300, 40}, {150, 700}, {33, 70'000}, {130, 20'000}, {9, 200'000}}) {
        Lcg random(n);
        const auto x = cloud_of<float>(n * d, [&] { return random.gaussian(); });
        const auto whole = distances<float>(view(x, n, d), Metric::euclidean, active_isa(), 1);
        for (const int threads : {2, 3, 7})
            CHECK(same_bits(distances<float>(view(x, n, d), Metric::euclidean, active_isa(), threads), whole));
        const std::size_t first = n / 3;
        const std::size_t count = n / 2;
        PointCloud part = view(x, count, d);
        part.data = x.data() + first * d;
        const auto some = distances<float>(part);
        bool same = true;
        for (std::size_t i = 0; i < count; ++i)
            for (std::size_t j = 0; j < count; ++j) same &= some[i * count + j] == whole[(first + i) * n + first + j];
        CHECK(same);
        bool symmetric = true;
        for (std::size_t i = 0; i < n; ++i) {
            symmetric &= std::bit_cast<std::uint32_t>(whole[i * n + i]) == 0;
            for (std::size_t j = 0; j < n; ++j) symmetric &= whole[i * n + j] == whole[j * n + i];
        }
        CHECK(symmetric);
    }
}

void all_threads_all_metrics() {
    const std::size_t n = 20;
    const std::size_t d = 35'000;
    Lcg random(8);
    const auto x = cloud_of<float>(n * d, [&] { return random.gaussian(); });
    for (const std::string_view metric : metric_names()) {
        const Metric m = metric_from_name(metric);
        const auto expected = distances<double>(view(x, n, d), m, Isa::baseline);
        for (const Isa isa : available_isas())
            for (const int threads : {1, 2, 5})
                CHECK(same_bits(distances<double>(view(x, n, d), m, isa, threads), expected));
    }
}

template <class Real>
void check_small_shapes() {
    const std::vector<float> x{1.0F, 2.0F, 4.0F, 6.0F};
    for (const std::string_view name : metric_names()) {
        const Metric metric = metric_from_name(name);
        CHECK_EQ(distances<Real>(view(x, 0, 4), metric).size(), 0U);
        CHECK(distances<Real>(view(x, 3, 0), metric) == std::vector<Real>(9, Real{0}));
        CHECK(distances<Real>(view(x, 1, 4), metric) == std::vector<Real>(1, Real{0}));
    }
    CHECK(distances<Real>(view(x, 2, 2)) == (std::vector<Real>{0, 5, 5, 0}));
    CHECK(distances<Real>(view(x, 2, 2), Metric::sqeuclidean) == (std::vector<Real>{0, 25, 25, 0}));
    CHECK(distances<Real>(view(x, 2, 2), Metric::cityblock) == (std::vector<Real>{0, 7, 7, 0}));
    CHECK(distances<Real>(view(x, 2, 2), Metric::chebyshev) == (std::vector<Real>{0, 4, 4, 0}));
}

/// Rows of the output may lie apart; what is between them stays.
void output_stride() {
    const std::vector<float> x{0.0F, 3.0F, 7.0F};
    std::vector<float> out(15, -1.0F);
    MemoryBudget budget;
    pairwise_distances(view(x, 3, 1), Metric::euclidean, out.data(), 5, Execution{.budget = budget});
    CHECK(out == (std::vector<float>{0, 3, 7, -1, -1, 3, 0, 4, -1, -1, 7, 4, 0, -1, -1}));
}

void cosine_and_correlation() {
    for (const std::size_t d : {4UL, 64UL, 65UL, 3000UL}) {
        Lcg random(d);
        const auto x = cloud_of<double>(6 * d, [&] { return random.gaussian(); });
        for (const Metric metric : {Metric::cosine, Metric::correlation}) {
            const auto out = distances<double>(view(x, 6, d), metric);
            double worst = 0.0;
            for (std::size_t i = 0; i < 6; ++i)
                for (std::size_t j = 0; j < 6; ++j) {
                    long double mean_a = 0;
                    long double mean_b = 0;
                    for (std::size_t k = 0; k < d && metric == Metric::correlation; ++k) {
                        mean_a += x[i * d + k] / static_cast<long double>(d);
                        mean_b += x[j * d + k] / static_cast<long double>(d);
                    }
                    long double aa = 0;
                    long double bb = 0;
                    long double ab = 0;
                    for (std::size_t k = 0; k < d; ++k) {
                        const long double a = x[i * d + k] - mean_a;
                        const long double b = x[j * d + k] - mean_b;
                        aa += a * a;
                        bb += b * b;
                        ab += a * b;
                    }
                    const auto expected = static_cast<double>(1.0L - ab / std::sqrt(aa * bb));
                    worst = std::max(worst, std::abs(out[i * 6 + j] - (i == j ? 0.0 : expected)));
                }
            CHECK(worst < 2e-15 * static_cast<double>(d));
        }
        for (const double scale : {1e-320, 1e-200, 1e200, 1.7e308}) {  // directions do not depend on scale
            std::vector<double> scaled(2 * d, 0.0);
            scaled[0] = scaled[d + 1] = scale;
            CHECK_EQ(distances<double>(view(scaled, 2, d), Metric::cosine)[1], 1.0);
        }
    }
    const std::vector<float> zero_row{1.0F, 2.0F, 0.0F, 0.0F, 3.0F, 3.0F};
    CHECK_THROWS_SAYING(InvalidInput, "row 1 is zero", distances<float>(view(zero_row, 3, 2), Metric::cosine));
    CHECK_THROWS_SAYING(InvalidInput, "row 1 is constant", distances<float>(view(zero_row, 3, 2), Metric::correlation));
    const std::vector<float> parallel{1.0F, 2.0F, 3.0F, 2.0F, 4.0F, 6.0F};
    CHECK_EQ(distances<float>(view(parallel, 2, 3), Metric::cosine)[1], 0.0F);
}

void names() {
    CHECK_EQ(metric_names().size(), 6U);
    for (const std::string_view name : metric_names())
        CHECK(static_cast<std::size_t>(metric_from_name(name)) < metric_names().size());
    CHECK_THROWS_SAYING(InvalidInput, "euclidean, sqeuclidean, cityblock, chebyshev, cosine, correlation",
                        metric_from_name("Euclidean"));
}

/// What a call books is what was foretold, and all of it is given back.
void memory() {
    for (const auto& [n, d] : std::vector<std::pair<std::size_t, std::size_t>>{
             {1, 1}, {40, 64}, {500, 3}, {300, 64}, {40, 4096}, {200, 1000}, {40, 60'000}, {140, 20'000}})
        for (const std::string_view name : metric_names())
            for (const int threads : {1, 2, 4}) {
                const Metric metric = metric_from_name(name);
                if (d == 1 && metric == Metric::correlation) continue;
                Lcg random(n);
                const auto x = cloud_of<float>(n * d, [&] { return random.gaussian() + 0.5F; });
                if (n * d > 1'000'000 && metric != Metric::euclidean) continue;
                const std::size_t bound = pairwise_distances_bytes(view(x, n, d), metric, sizeof(float), threads);
                std::vector<float> out(n * n);
                MemoryBudget budget(bound);
                pairwise_distances(view(x, n, d), metric, out.data(), n,
                                   Execution{.budget = budget, .n_threads = threads});
                CHECK(budget.peak() <= bound);
                CHECK_EQ(budget.used(), 0U);
                MemoryBudget tight(bound / 2);
                CHECK_THROWS(BudgetExceeded, pairwise_distances(view(x, n, d), metric, out.data(), n,
                                                                Execution{.budget = tight, .n_threads = threads}));
                CHECK_EQ(tight.used(), 0U);
            }
}

void cancelling() {
    Lcg random(1);
    const auto x = cloud_of<float>(40UL * 60'000, [&] { return random.gaussian(); });
    std::vector<float> out(40UL * 40);
    MemoryBudget budget;
    int calls = 0;
    const auto stop = [&] {
        if (++calls == 5) throw Cancelled();
    };
    CHECK_THROWS(Cancelled, pairwise_distances(view(x, 40, 60'000), Metric::euclidean, out.data(), 40,
                                               Execution{.budget = budget, .checkpoint = stop}));
    CHECK_EQ(calls, 5);
    CHECK_EQ(budget.used(), 0U);
}

}  // namespace

int main() {
    accuracy();
    far_scales_in_double();
    threads_and_subsets();
    all_threads_all_metrics();
    check_small_shapes<float>();
    check_small_shapes<double>();
    output_stride();
    cosine_and_correlation();
    names();
    memory();
    cancelling();
    return check::result();
}
