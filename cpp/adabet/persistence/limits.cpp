#include "adabet/persistence/limits.hpp"

#include <algorithm>
#include <string>

#include "adabet/errors.hpp"
#include "adabet/persistence/columns.hpp"
#include "adabet/rips/classifier.hpp"
#include "adabet/rips/edge_stream.hpp"
#include "adabet/rips/relative_neighbourhood.hpp"
#include "adabet/rips/survey.hpp"

namespace adabet {

namespace {

constexpr std::size_t kSmallestBatch = std::size_t{1} << 14;
constexpr std::size_t kUsualBatch = std::size_t{1} << 18;
/// Batches take an eighth of what bit rows and matrix do: few passes, and a plan that says nearly what it takes.
constexpr std::size_t kBatchShare = 8;
/// One part in this many of what is free stays so, for births and critical cells.
constexpr std::size_t kReserveShare = 4;

std::size_t stream_bytes(std::size_t n, std::size_t batch, std::size_t real_size, bool resident, int n_threads) {
    return real_size == sizeof(float) ? EdgeStream<float>::bytes(n, batch, resident, n_threads)
                                      : EdgeStream<double>::bytes(n, batch, resident, n_threads);
}

/// The survey stays; its making, the relative neighbourhood graph and the edges come one after another.
std::size_t fixed_bytes(std::size_t n, std::size_t real_size, bool resident, int n_threads, std::size_t batch,
                        int copies) {
    const std::size_t edges = Classifier<float>::bytes(n, copies) + n * sizeof(Vertex) +
                              stream_bytes(n, batch, real_size, resident, n_threads);
    return survey_bytes(n, real_size) +
           std::max({survey_scratch_bytes(n, real_size, resident, n_threads),
                     relative_neighbourhood_bytes(n, real_size, resident, n_threads), edges});
}

}  // namespace

RunLimits run_limits(std::size_t n, std::size_t real_size, bool resident, int n_threads, std::size_t free_bytes) {
    const std::size_t pairs = n * (n - std::min<std::size_t>(n, 1)) / 2;
    const std::size_t room = free_bytes - free_bytes / kReserveShare;
    const auto fits = [&](std::size_t batch, int copies) {
        return fixed_bytes(n, real_size, resident, n_threads, batch, copies) <= room;
    };
    const std::size_t smallest = std::min(std::max(kSmallestBatch, n), pairs);
    int copies = std::max(1, n_threads);
    while (copies > 1 && !fits(smallest, copies)) --copies;
    const std::size_t held = (resident ? n * n * real_size : 0) + Classifier<float>::bytes(n, copies);
    const std::size_t edge_bytes =
        real_size == sizeof(float) ? 2 * sizeof(RankedEdge<float>) : 2 * sizeof(RankedEdge<double>);
    std::size_t batch = std::min(std::max({held / kBatchShare / edge_bytes, kUsualBatch, n}), pairs);
    while (batch > smallest && !fits(batch, copies)) batch = std::max(smallest, batch / 2);
    const std::size_t bytes = fixed_bytes(n, real_size, resident, n_threads, batch, copies);
    return {batch, copies, bytes, bytes <= free_bytes};
}

RunLimits run_limits(std::size_t n, std::size_t real_size, bool resident, const Execution& execution) {
    const std::size_t used = execution.budget.used();
    const std::size_t limit = execution.budget.limit();
    return run_limits(n, real_size, resident, execution.n_threads, limit - std::min(used, limit));
}

void refuse_beyond(const RunLimits& limits, std::size_t n, const Execution& execution) {
    if (!limits.fit)
        throw BudgetExceeded(execution.budget.limit(), execution.budget.used() + limits.fixed_bytes,
                             std::to_string(n) + " points");
}

std::size_t run_bytes(std::size_t n, std::size_t n_births, const RunLimits& limits) {
    return Classifier<float>::bytes(n, limits.graph_copies) + Columns::bytes(n_births);
}

}  // namespace adabet
