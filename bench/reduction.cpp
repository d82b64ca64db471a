// The columns of a filtration as the engine makes them, and their reduction in each form; built and called by
// bench/reduction_forms.py, which says what the forms are.

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "adabet/persistence/births.hpp"
#include "adabet/persistence/bit_filtration.hpp"
#include "adabet/persistence/columns.hpp"
#include "adabet/persistence/flow.hpp"
#include "adabet/persistence/window.hpp"
#include "adabet/rips/classifier.hpp"
#include "adabet/rips/edge_stream.hpp"
#include "adabet/rips/kernels.hpp"
#include "adabet/rips/relative_neighbourhood.hpp"
#include "adabet/rips/slot_order.hpp"
#include "adabet/rips/survey.hpp"

namespace {

using namespace adabet;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// The boundaries of the critical cells, written in births, as the reduction is given them: until all classes are dead.
struct Cells {
    std::vector<double> births;       ///< lengths
    std::vector<double> deaths;       ///< length of each cell's edge
    std::vector<std::size_t> ends;    ///< cell i: entries[ends[i - 1]] up to entries[ends[i]]
    std::vector<BirthIndex> entries;  ///< of each cell the youngest first

    [[nodiscard]] std::span<const BirthIndex> cell(std::size_t i) const {
        const std::size_t begin = i == 0 ? 0 : ends[i - 1];
        return {entries.data() + begin, ends[i] - begin};
    }
};

template <class Real>
Cells record(const DistanceMatrix<Real>& matrix) {
    constexpr std::size_t first_batch = std::size_t{1} << 15;
    constexpr std::size_t largest_batch = std::size_t{1} << 20;
    Cells cells;
    MemoryBudget budget;
    const Execution execution{budget};
    const Distances<Real> distances(matrix);
    const auto survey = survey_distances(distances, execution);
    const auto window = filtration_window(survey.enclosing, infinity<Real>);
    const auto graph = relative_neighbourhood_graph(distances, survey, window.longest, execution);
    const Births<Real> births(graph, matrix.n, window.longest_birth, budget);
    for (const auto& edge : births.edges()) cells.births.push_back(static_cast<double>(edge.length()));
    Classifier<Real> classifier(slot_order(survey, matrix.n, execution), 1, execution);
    const BitFiltration<Real> filtration(distances, classifier.graph(), budget);
    Flow<Real> flow(filtration, births, budget);
    Columns columns(births.size(), rips_kernels<Real>().add_words, budget);
    EdgeStream<Real> stream(distances, survey.bounds, window.longest_birth, first_batch, largest_batch, execution);
    const auto all_dead = [&] { return columns.deaths() == births.size(); };
    const auto take = [&](std::span<const RankedEdge<Real>> edges, const CriticalEdges& critical) {
        for (std::size_t i = 0; i < critical.items.size() && !all_dead(); ++i) {
            const RankedEdge<Real>& edge = edges[critical.items[i].edge];
            const auto representatives = critical.representatives(i);
            for (const Vertex vi : representatives.subspan(1)) {
                for (const Vertex end : {edge.a, edge.b}) {
                    flow.add(end, representatives.front());
                    flow.add(end, vi);
                }
                const std::size_t begin = cells.entries.size();
                flow.run([&](BirthIndex birth) { cells.entries.push_back(birth); });
                cells.deaths.push_back(static_cast<double>(edge.length()));
                cells.ends.push_back(cells.entries.size());
                for (std::size_t at = begin; at < cells.entries.size(); ++at) columns.add(cells.entries[at]);
                columns.reduce();
            }
        }
        return !all_dead();
    };
    while (!all_dead() && stream.next()) classifier.process(stream.edges(), take);
    return cells;
}

constexpr std::int32_t kNone = -1;

struct TooLong {};

/// Throws TooLong where a form takes too long.
class Deadline {
public:
    explicit Deadline(double seconds) : seconds_(seconds) {}
    void check() {
        if (++calls_ % 64 == 0 && since(start_) > seconds_) throw TooLong{};
    }

private:
    Clock::time_point start_ = Clock::now();
    double seconds_;
    std::size_t calls_ = 0;
};

/// What a form is given.
struct Task {
    const Cells& cells;
    ColumnRule rule;
    MemoryBudget& budget;
    Deadline& deadline;
    std::span<std::int32_t> killers;  ///< of each birth the cell that kills it
};

/// One column a cell, pivot = the youngest birth: the engine's.
void by_cells(const Task& task) {
    const Cells& cells = task.cells;
    Columns columns(cells.births.size(), rips_kernels<float>().add_words, task.budget, task.rule);
    for (std::size_t i = 0; i < cells.ends.size(); ++i) {
        task.deadline.check();
        for (const BirthIndex birth : cells.cell(i)) columns.add(birth);
        const BirthIndex dead = columns.reduce();
        if (dead >= 0) task.killers[static_cast<std::size_t>(dead)] = static_cast<std::int32_t>(i);
    }
}

/// The cells in which each birth is, last cell first, births one after another.
struct Rows {
    Rows(const Cells& cells, MemoryBudget& budget)
        : ends(make_buffer<std::uint32_t>(budget, cells.births.size() + 1, 0)),
          numbers(make_buffer<BirthIndex>(budget, cells.entries.size())) {
        for (const BirthIndex birth : cells.entries) ++ends[static_cast<std::size_t>(birth) + 1];
        for (std::size_t b = 1; b < ends.size(); ++b) ends[b] += ends[b - 1];
        auto next = Buffer<std::uint32_t>(ends.begin(), ends.end(), BudgetAllocator<std::uint32_t>(budget));
        const std::size_t n_cells = cells.ends.size();
        for (std::size_t i = 0; i < n_cells; ++i)
            for (const BirthIndex birth : cells.cell(i))
                numbers[next[static_cast<std::size_t>(birth)]++] = static_cast<BirthIndex>(n_cells - 1 - i);
    }
    [[nodiscard]] std::span<const BirthIndex> row(std::size_t birth) const {
        return {numbers.data() + ends[birth], ends[birth + 1] - ends[birth]};
    }

    Buffer<std::uint32_t> ends;
    Buffer<BirthIndex> numbers;  ///< of cells, counted from the last: the earliest cell is the highest
};

/// Transposed: one column a birth, the youngest first, pivot = the earliest cell. What is stored is reduced against one
/// another as in by_cells.
void by_births(const Task& task) {
    const std::size_t n_cells = task.cells.ends.size();
    const Rows rows(task.cells, task.budget);
    Columns columns(n_cells, rips_kernels<float>().add_words, task.budget, task.rule);
    for (std::size_t birth = task.cells.births.size(); birth-- > 0;) {
        task.deadline.check();
        for (const BirthIndex cell : rows.row(birth)) columns.add(cell);
        const BirthIndex pivot = columns.reduce();
        if (pivot >= 0) task.killers[birth] = static_cast<std::int32_t>(n_cells - 1 - static_cast<std::size_t>(pivot));
    }
}

/// Transposed; what is stored stays as it was. A list each.
void by_births_plain(const Task& task) {
    MemoryBudget& budget = task.budget;
    const std::size_t n_cells = task.cells.ends.size();
    const Rows rows(task.cells, budget);
    SparseBits making(n_cells, budget);
    struct Stored {
        std::size_t begin;
        std::size_t end;
    };
    auto owners = make_buffer<std::int32_t>(budget, n_cells, kNone);
    auto stored = make_buffer<Stored>(budget, task.cells.births.size(), Stored{0, 0});
    auto lists = make_buffer<BirthIndex>(budget);
    for (std::size_t birth = task.cells.births.size(); birth-- > 0;) {
        task.deadline.check();
        for (const BirthIndex cell : rows.row(birth)) making.flip(static_cast<std::size_t>(cell));
        for (;;) {
            const std::size_t top = making.highest_word();
            if (top == SparseBits::none()) break;
            const std::size_t pivot = top * SparseBits::kWordBits + SparseBits::kWordBits - 1 -
                                      static_cast<std::size_t>(std::countl_zero(making.word(top)));
            const std::int32_t owner = owners[pivot];
            if (owner == kNone) {
                owners[pivot] = static_cast<std::int32_t>(birth);
                task.killers[birth] = static_cast<std::int32_t>(n_cells - 1 - pivot);
                stored[birth].begin = lists.size();
                making.for_each_word([&](std::size_t w, SparseBits::Word bits) {
                    for (; bits != 0; bits &= bits - 1)
                        lists.push_back(static_cast<BirthIndex>(w * SparseBits::kWordBits +
                                                                static_cast<std::size_t>(std::countr_zero(bits))));
                });
                stored[birth].end = lists.size();
                making.clear();
                break;
            }
            const Stored& other = stored[static_cast<std::size_t>(owner)];
            for (std::size_t at = other.begin; at < other.end; ++at) making.flip(static_cast<std::size_t>(lists[at]));
        }
    }
}

/// What was thrown, as text for the caller.
template <class Body>
bool guarded(char* error, std::size_t room, const Body& body) {
    try {
        body();
        return true;
    } catch (const std::exception& thrown) {
        std::strncpy(error, thrown.what(), room - 1);
        error[room - 1] = '\0';
        return false;
    }
}

}  // namespace

extern "C" {

/// A handle to the cells of a distance matrix, to be given back by forget(); null where something was thrown.
void* record_cells(const void* matrix, std::size_t n, int is_double, char* error, std::size_t room) {
    auto cells = std::make_unique<Cells>();
    const bool done = guarded(error, room, [&] {
        *cells = is_double != 0 ? record(DistanceMatrix<double>{static_cast<const double*>(matrix), n, n})
                                : record(DistanceMatrix<float>{static_cast<const float*>(matrix), n, n});
    });
    return done ? cells.release() : nullptr;
}
void forget_cells(void* cells) { delete static_cast<Cells*>(cells); }

std::size_t count_births(const void* cells) { return static_cast<const Cells*>(cells)->births.size(); }
std::size_t count_cells(const void* cells) { return static_cast<const Cells*>(cells)->ends.size(); }
std::size_t count_entries(const void* cells) { return static_cast<const Cells*>(cells)->entries.size(); }
const double* birth_lengths(const void* cells) { return static_cast<const Cells*>(cells)->births.data(); }
const double* death_lengths(const void* cells) { return static_cast<const Cells*>(cells)->deaths.data(); }

/// The number of words that the engine weighs an entry as.
double engine_rule() { return ColumnRule{}.words_per_entry; }

/// Reduces in the form 0: by cells, 1: by births, 2: by births, plain. Seconds; infinity where they would be more than `most`,
/// -1 where something was thrown. killers[b] becomes the cell that kills birth b, or -1.
double reduce_cells(const void* cells, int form, double words_per_entry, double most, std::int32_t* killers,
                    std::size_t* peak, char* error, std::size_t room) {
    constexpr void (*forms[])(const Task&) = {by_cells, by_births, by_births_plain};
    const Cells& given = *static_cast<const Cells*>(cells);
    const std::span<std::int32_t> found(killers, given.births.size());
    std::fill(found.begin(), found.end(), kNone);
    MemoryBudget budget;
    double seconds = -1;
    guarded(error, room, [&] {
        const auto start = Clock::now();
        try {
            Deadline deadline(most);
            forms[form]({given, {words_per_entry}, budget, deadline, found});
            seconds = since(start);
        } catch (const TooLong&) {
            seconds = std::numeric_limits<double>::infinity();
        }
    });
    *peak = budget.peak();
    return seconds;
}
}
